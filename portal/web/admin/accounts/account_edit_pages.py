"""Administration → accounts: create an account, and change its fields and attributes."""

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.accounts.account_editing import edit_account
from portal.accounts.account_management import NewAccount, create_account
from portal.accounts.account_permissions import require_permission
from portal.accounts.rules.account_fields import EDITABLE_FIELDS
from portal.accounts.tables.accounts import Account, account_types
from portal.accounts.tables.attributes import all_attributes, values_of
from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.core.rules.time_zones import timezone_choices
from portal.core.translation import gettext as _
from portal.web.access import allow
from portal.web.admin.accounts.account_form import AccountForm, account_form
from portal.web.authentication.recent_sign_in import needs_recent_sign_in

pages = Blueprint("account_editing", __name__, url_prefix="/Admin/Accounts")
_REQUIRED = ("name", "email", "account_type")


@pages.get("/New")
@allow("admin")
def new() -> ResponseReturnValue:
    return _page(account_form({"timezone": settings().time_zone}))


@pages.post("/New")
@allow("admin")
@needs_recent_sign_in
def create() -> ResponseReturnValue:
    form = account_form({})
    try:
        account = NewAccount(form.external_id.data, **dict.fromkeys(_REQUIRED, "") | form.fields)
        account_id = create_account(account, now_ms(), current_user.id, form.values)
    except InvalidInput as error:
        return _page(form.with_errors(error))
    flash(_("The account is created. Invite the person to set a password if they should sign in."), "info")
    return redirect(url_for("admin_accounts.profile", account_id=account_id), 303)


@pages.get("/<id:account_id>/Edit")
@allow("admin")
def edit(account_id: int) -> ResponseReturnValue:
    account = _account(account_id)
    require_permission(current_user.id, account)
    return _page(account_form(_stored(account)), account)


@pages.post("/<id:account_id>/Edit")
@allow("admin")
@needs_recent_sign_in
def save(account_id: int) -> ResponseReturnValue:
    form = account_form(_stored(_account(account_id)))
    try:
        edit_account(account_id, form.fields, form.values, form.all_base, current_user.id, now_ms())
    except InvalidInput as error:
        account = _account(account_id)
        return _page(form.with_conflicts(error, _stored(account)), account)
    flash(_("Account saved."), "info")
    return redirect(url_for("admin_accounts.profile", account_id=account_id), 303)


def _account(account_id: int) -> Account:
    return db.session.get(Account, account_id) or abort(404)


def _stored(account: Account) -> dict[str, str]:
    """The fields, and the attributes with the prefix `value_`."""
    values = values_of([account.id]).get(account.id, {})
    fields = {name: getattr(account, name) for name in EDITABLE_FIELDS}
    return fields | {f"value_{attribute.key}": values.get(attribute.key, "") for attribute in all_attributes()}


def _page(form: AccountForm, account: Account | None = None) -> ResponseReturnValue:
    page = render_template(
        "admin/accounts/editor.html",
        form=form,
        account=account,
        account_types=account_types(),
        cities=timezone_choices(),
    )
    return page, 422 if form.errors else 200

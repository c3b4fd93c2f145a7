"""Administration → accounts: the attributes of one account."""

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.accounts.account_attributes import set_attributes
from portal.accounts.tables.accounts import Account
from portal.accounts.tables.attributes import all_attributes, values_of
from portal.core.clock import now_ms
from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.core.translation import gettext as _
from portal.web.access import allow
from portal.web.admin.attribute_form import ValuesForm, build_values_form

pages = Blueprint("account_attributes", __name__, url_prefix="/Admin/Accounts")


@pages.get("/<id:account_id>/Attributes")
@allow("admin")
def edit(account_id: int) -> ResponseReturnValue:
    return _editor(account_id, _form(account_id))


@pages.post("/<id:account_id>/Attributes")
@allow("admin")
def save(account_id: int) -> ResponseReturnValue:
    form = _form(account_id)
    try:
        set_attributes(account_id, form.typed, current_user.id, now_ms(), form.base)
    except InvalidInput as error:
        return _editor(account_id, form.with_value_errors(error, _stored(account_id)))
    flash(_("Attributes saved."), "info")
    return redirect(url_for("admin_accounts.profile", account_id=account_id), 303)


def _form(account_id: int) -> ValuesForm:
    _account(account_id)
    return build_values_form([attribute.definition for attribute in all_attributes()], _stored(account_id))


def _account(account_id: int) -> Account:
    return db.session.get(Account, account_id) or abort(404)


def _stored(account_id: int) -> dict[str, str]:
    return values_of([account_id]).get(account_id, {})


def _editor(account_id: int, form: ValuesForm) -> ResponseReturnValue:
    page = render_template("admin/accounts/attributes.html", account=_account(account_id), form=form)
    return page, 422 if form.errors else 200

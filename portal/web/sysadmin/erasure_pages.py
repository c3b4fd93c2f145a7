"""Administration → accounts → erase: for system administrators, with what is removed and what is kept."""

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from wtforms import StringField

from portal.accounts.tables.accounts import Account
from portal.core.clock import now_ms
from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.core.translation import gettext as _
from portal.core.translation import lazy_gettext
from portal.records import erasure
from portal.web.access import allow
from portal.web.account.personal_data_pages import personal_data_file
from portal.web.base_form import PortalForm
from portal.web.current_actor import current_actor

pages = Blueprint("sysadmin_erasure", __name__, url_prefix="/SysAdmin/Accounts")


class ErasureForm(PortalForm):
    confirmation = StringField(lazy_gettext("Type the account number to confirm"))


@pages.get("/<id:account_id>/Erase")
@allow("sysadmin")
def confirm(account_id: int) -> ResponseReturnValue:
    return _page(account_id, ErasureForm())


@pages.post("/<id:account_id>/Erase")
@allow("sysadmin")
def erase(account_id: int) -> ResponseReturnValue:
    form = ErasureForm()
    _account(account_id)
    try:
        erasure.erase_account(account_id, form.confirmation.data, current_actor(), now_ms())
    except InvalidInput as error:
        return _page(account_id, form.with_errors(error))
    flash(_("The account is erased. Its consent and its account number are kept."), "info")
    return redirect(url_for("admin_accounts.profile", account_id=account_id), 303)


@pages.get("/<id:account_id>/personal-data.zip")
@allow("sysadmin")
def download(account_id: int) -> ResponseReturnValue:
    """For somebody who asks for their data on paper."""
    return personal_data_file(_account(account_id).id)


def _account(account_id: int) -> Account:
    return db.session.get(Account, account_id) or abort(404)


def _page(account_id: int, form: ErasureForm) -> ResponseReturnValue:
    account = _account(account_id)
    report = erasure.preview_erasure(account_id)
    page = render_template("sysadmin/erase_account.html", account=account, report=report, form=form)
    return page, 422 if form.errors else 200

"""Administration → accounts: remove the second factor of somebody who lost it."""

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.accounts.tables.accounts import Account
from portal.authentication.second_factors import has_second_factor, needs_second_factor, reset_second_factor
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.core.translation import gettext as _
from portal.web.access import allow
from portal.web.authentication.recent_sign_in import needs_recent_sign_in
from portal.web.authentication.security_emails import SECOND_FACTOR_REMOVED, tell_by_email
from portal.web.error_pages import flash_outcome

pages = Blueprint("second_factor_reset", __name__, url_prefix="/Admin/Accounts")


@pages.get("/<id:account_id>/SecondFactor")
@allow("sysadmin")
def confirm(account_id: int) -> str:
    account = db.session.get(Account, account_id) or abort(404)
    return render_template(
        "authentication/second_factor_reset.html",
        account=account,
        has_second_factor=has_second_factor(account_id),
        is_required=needs_second_factor(account.role),
    )


@pages.post("/<id:account_id>/SecondFactor")
@allow("sysadmin")
@needs_recent_sign_in
def reset(account_id: int) -> ResponseReturnValue:
    account = db.session.get(Account, account_id) or abort(404)
    if account_id == current_user.id:
        flash(_("Change your own second factor under Security."), "info")
        return redirect(url_for("my_security.page"), 303)
    with flash_outcome(_("The second factor is removed. The person is told by email.")):
        reset_second_factor(account_id, current_user.id, now_ms())
        tell_by_email(account, SECOND_FACTOR_REMOVED)
    return redirect(url_for("admin_accounts.profile", account_id=account_id), 303)

"""Administration → accounts: deactivate, reactivate, and invite somebody to set a password."""

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.accounts.account_permissions import require_permission
from portal.accounts.password_invitation import LINK_DAYS, invitation_token
from portal.accounts.tables.accounts import Account
from portal.core.clock import now_ms
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.translation import N_, ngettext
from portal.core.translation import gettext as _
from portal.gateways.outcomes import Accepted
from portal.messages.tables.transitions import count_waiting
from portal.people.deactivation import deactivate_account, reactivate_account
from portal.web.access import allow
from portal.web.account.account_emails import public_address, recipient_of, send_account_email

pages = Blueprint("account_states", __name__, url_prefix="/Admin/Accounts")


@pages.get("/<id:account_id>/Deactivate")
@allow("admin")
def confirm(account_id: int) -> ResponseReturnValue:
    account = _account(account_id)
    require_permission(current_user.id, account)
    waiting = count_waiting(account_id)
    return render_template("admin/accounts/deactivate.html", account=account, waiting=waiting)


@pages.post("/<id:account_id>/Deactivate")
@allow("admin")
def deactivate(account_id: int) -> ResponseReturnValue:
    try:
        ended = deactivate_account(_account(account_id).id, current_user.id, now_ms())
    except ActionRefused as error:
        return _refused(account_id, error)
    flash(_("The account is deactivated."), "info")
    if ended:
        message = ngettext("%(num)s message that waited was ended.", "%(num)s messages that waited were ended.", ended)
        flash(message, "info")
    return _profile(account_id)


@pages.post("/<id:account_id>/Reactivate")
@allow("admin")
def reactivate(account_id: int) -> ResponseReturnValue:
    try:
        reactivate_account(_account(account_id).id, current_user.id, now_ms())
    except ActionRefused as error:
        return _refused(account_id, error)
    flash(_("The account is active again. It gets what is sent from now on."), "info")
    return _profile(account_id)


@pages.post("/<id:account_id>/Invite")
@allow("admin")
def invite(account_id: int) -> ResponseReturnValue:
    """The page waits for the mail server, so that it can say whether the email left."""
    try:
        token = invitation_token(_account(account_id).id, current_user.id, now_ms())
    except ActionRefused as error:
        return _refused(account_id, error)
    account = _account(account_id)
    recipient = recipient_of(account)
    context = {"external_id": account.external_id, "link": public_address("password_invitation.form", token=token)}
    db.session.rollback()  # do not hold a database connection while the mail server answers
    outcome = send_account_email("password_invitation", recipient, N_("Set your password"), **context, days=LINK_DAYS)
    if isinstance(outcome, Accepted):
        values = {"address": recipient.email, "days": LINK_DAYS}
        flash(_("A link to set a password is on its way to %(address)s. It works for %(days)s days.", **values), "info")
    else:
        flash(_("The mail server did not take the email, so nobody was invited. Try again in a minute."), "error")
    return _profile(account_id)


def _account(account_id: int) -> Account:
    return db.session.get(Account, account_id) or abort(404)


def _refused(account_id: int, error: ActionRefused) -> ResponseReturnValue:
    require_permission(current_user.id, _account(account_id))
    flash(error.message, "error")
    return _profile(account_id)


def _profile(account_id: int) -> ResponseReturnValue:
    return redirect(url_for("admin_accounts.profile", account_id=account_id), 303)

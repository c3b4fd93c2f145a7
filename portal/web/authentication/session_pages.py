"""Where somebody is signed in: My account → sessions, and for system administrators the sessions of any account."""

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.accounts.tables.accounts import Account
from portal.authentication.rules.devices import Device
from portal.authentication.session_management import (
    revoke_all_sessions,
    revoke_other_sessions,
    revoke_session,
    session_limits,
    valid_sessions,
)
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.core.translation import gettext as _
from portal.core.translation import ngettext
from portal.web.access import allow
from portal.web.authentication.browser_sessions import current_session
from portal.web.authentication.recent_sign_in import needs_recent_sign_in
from portal.web.time_display import format_duration

own_pages = Blueprint("my_sessions", __name__, url_prefix="/MyAccount/Sessions")
pages = Blueprint("account_sessions", __name__, url_prefix="/SysAdmin/Accounts/<id:account_id>/Sessions")


@own_pages.get("")
@allow("user")
def own() -> str:
    rows = valid_sessions(current_user, now_ms())
    return render_template("sessions/own.html", rows=rows, **_context(current_user))


@own_pages.post("/<id:session_id>/SignOut")
@allow("user")
@needs_recent_sign_in
def end_own(session_id: int) -> ResponseReturnValue:
    is_ended = revoke_session(current_user.id, session_id, current_user.id, now_ms())
    _tell(int(is_ended))
    return redirect(url_for(".own"), 303)


@own_pages.post("/SignOutOthers")
@allow("user")
@needs_recent_sign_in
def end_others() -> ResponseReturnValue:
    _tell(revoke_other_sessions(current_user.id, _current_id(), current_user.id, now_ms()))
    return redirect(url_for(".own"), 303)


@pages.get("")
@allow("sysadmin")
def listing(account_id: int) -> str:
    account = _account(account_id)
    rows = valid_sessions(account, now_ms())
    return render_template("sessions/of_account.html", rows=rows, account=account, **_context(account))


@pages.post("/<id:session_id>/SignOut")
@allow("sysadmin")
def end_one(account_id: int, session_id: int) -> ResponseReturnValue:
    is_ended = revoke_session(_account(account_id).id, session_id, current_user.id, now_ms())
    _tell(int(is_ended))
    return redirect(url_for(".listing", account_id=account_id), 303)


@pages.post("/SignOutAll")
@allow("sysadmin")
def end_all(account_id: int) -> ResponseReturnValue:
    _tell(revoke_all_sessions(_account(account_id).id, current_user.id, now_ms()))
    return redirect(url_for(".listing", account_id=account_id), 303)


def _context(account: Account) -> dict[str, object]:
    limits = session_limits()
    return {
        "current_id": _current_id(),
        "device_label": lambda row: Device(row.browser, row.system).label,
        "idle_time": format_duration(limits.idle_ms_of(account.role)),
        "lifetime": format_duration(limits.lifetime_ms),
    }


def _current_id() -> int:
    current = current_session()
    return current.id if current else 0


def _account(account_id: int) -> Account:
    return db.session.get(Account, account_id) or abort(404)


def _tell(ended: int) -> None:
    if ended:
        flash(ngettext("%(num)s device is signed out.", "%(num)s devices are signed out.", ended), "info")
    else:
        flash(_("Nobody was signed in there any more."), "info")

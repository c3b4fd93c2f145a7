"""Change the time zone: people change their own, administrators anybody's."""

from datetime import datetime

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.accounts.account_management import set_timezone
from portal.accounts.tables.accounts import Account
from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.core.rules.time_zones import timezone_choices, timezone_or_utc
from portal.web.access import allow
from portal.web.layout import is_sms_visible
from portal.web.request_input import form_code

pages = Blueprint("time_zones", __name__)


@pages.get("/MyAccount/TimeZone")
@allow("user")
def show_own() -> ResponseReturnValue:
    return _page(current_user, own=True)


@pages.post("/MyAccount/TimeZone")
@allow("user")
def change_own() -> ResponseReturnValue:
    return _change(current_user, own=True)


@pages.get("/Admin/Accounts/<id:account_id>/TimeZone")
@allow("admin")
def show_for_account(account_id: int) -> ResponseReturnValue:
    return _page(_account(account_id), own=False)


@pages.post("/Admin/Accounts/<id:account_id>/TimeZone")
@allow("admin")
def change_for_account(account_id: int) -> ResponseReturnValue:
    return _change(_account(account_id), own=False)


def _account(account_id: int) -> Account:
    return db.session.get(Account, account_id) or abort(404)


def _change(account: Account, own: bool) -> ResponseReturnValue:
    timezone = form_code("timezone")
    try:
        set_timezone(account.id, timezone, current_user.id, now_ms())
    except InvalidInput as error:
        return _page(account, own, timezone, error.errors)
    flash("Time zone saved.", "info")
    return redirect(_back_url(account, own), 303)


def _back_url(account: Account, own: bool) -> str:
    return url_for("my_history.listing") if own else url_for("admin_accounts.profile", account_id=account.id)


def _page(
    account: Account, own: bool, submitted: str = "", errors: dict[str, str] | None = None
) -> ResponseReturnValue:
    page = render_template(
        "time_zone.html",
        account=account,
        own=own,
        back_url=_back_url(account, own),
        value=submitted if errors else account.timezone,
        local_time=datetime.fromtimestamp(now_ms() / 1000, timezone_or_utc(account.timezone)).strftime("%A, %H:%M"),
        cities=timezone_choices(),
        quiet_hours=settings().quiet_hours if is_sms_visible() else None,
        errors=errors or {},
    )
    return page, 422 if errors else 200

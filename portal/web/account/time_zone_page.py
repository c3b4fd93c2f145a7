"""Change the time zone: people change their own, administrators anybody's."""

from datetime import datetime

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.accounts.account_management import set_timezone
from portal.accounts.tables.accounts import Account
from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.extensions import db
from portal.core.rules.time_zones import timezone_choices, timezone_or_utc
from portal.web.access import allow
from portal.web.account.time_zone_form import TimeZoneForm
from portal.web.layout import is_sms_visible

pages = Blueprint("time_zones", __name__)


@pages.route("/MyAccount/TimeZone", methods=["GET", "POST"])
@allow("user")
def own() -> ResponseReturnValue:
    return _page(current_user, url_for("my_history.listing"), own=True)


@pages.route("/Admin/Accounts/<id:account_id>/TimeZone", methods=["GET", "POST"])
@allow("admin")
def for_account(account_id: int) -> ResponseReturnValue:
    account = db.session.get(Account, account_id) or abort(404)
    return _page(account, url_for("admin_accounts.profile", account_id=account.id), own=False)


def _page(account: Account, back_url: str, own: bool) -> ResponseReturnValue:
    form = TimeZoneForm(obj=None if request.method == "POST" else account)
    if form.validate_on_submit():
        set_timezone(account.id, form.timezone.data, current_user.id, now_ms())
        flash("Time zone saved.", "info")
        return redirect(back_url, 303)
    page = render_template(
        "time_zone.html",
        account=account,
        form=form,
        own=own,
        back_url=back_url,
        local_time=datetime.fromtimestamp(now_ms() / 1000, timezone_or_utc(account.timezone)).strftime("%A, %H:%M"),
        cities=timezone_choices(),
        quiet_hours=settings().quiet_hours if is_sms_visible() else None,
    )
    return page, 422 if form.errors else 200

"""Change the time zone: people change their own, administrators anybody's."""

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from wtforms import StringField

from portal.accounts.account_management import set_timezone
from portal.accounts.account_permissions import require_permission
from portal.accounts.tables.accounts import Account
from portal.core.clock import now_ms
from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.core.rules import text_input
from portal.core.rules.time_zones import timezone_choices, timezone_or_utc
from portal.core.translation import gettext as _
from portal.core.translation import lazy_gettext
from portal.settings import app_settings
from portal.web.access import allow
from portal.web.base_form import PortalForm
from portal.web.layout import is_sms_visible
from portal.web.time_display import local_time

pages = Blueprint("time_zones", __name__)


class TimeZoneForm(PortalForm):
    timezone = StringField(lazy_gettext("Time zone"), filters=[text_input.clean_code])


@pages.route("/MyAccount/TimeZone", methods=["GET", "POST"])
@allow("user")
def own() -> ResponseReturnValue:
    return _page(current_user, url_for("my_history.listing"), own=True)


@pages.route("/Admin/Accounts/<id:account_id>/TimeZone", methods=["GET", "POST"])
@allow("admin")
def for_account(account_id: int) -> ResponseReturnValue:
    account = db.session.get(Account, account_id) or abort(404)
    require_permission(current_user.id, account)
    return _page(account, url_for("admin_accounts.profile", account_id=account.id), own=False)


def _page(account: Account, back_url: str, own: bool) -> ResponseReturnValue:
    form = TimeZoneForm(obj=None if request.method == "POST" else account)
    if request.method == "POST":
        try:
            set_timezone(account.id, form.timezone.data, current_user.id, now_ms())
        except InvalidInput as error:
            form.with_errors(error)
        else:
            flash(_("Time zone saved."), "info")
            return redirect(back_url, 303)
    page = render_template(
        "time_zone.html",
        account=account,
        form=form,
        own=own,
        back_url=back_url,
        local_time=local_time(now_ms(), timezone_or_utc(account.timezone)),
        cities=timezone_choices(),
        quiet_hours=app_settings.current_text_limits().quiet_hours if is_sms_visible() else None,
    )
    return page, 422 if form.errors else 200

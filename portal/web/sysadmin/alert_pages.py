"""System → alerts: what is wrong now and was wrong before, and who was told."""

from dataclasses import dataclass

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.core.clock import now_ms
from portal.core.rules.process_kinds import SCHEDULER
from portal.core.translation import gettext as _
from portal.core.translation import join_words, ngettext
from portal.monitoring.alert_checks import send_test_alert
from portal.monitoring.rules.alert_kinds import AlertKind, AlertText, describe_alert
from portal.monitoring.tables import alerts
from portal.monitoring.tables.alerts import EMAIL, Alert, AlertNotice
from portal.sends.provider_availability import missing_process_kinds
from portal.settings import app_settings
from portal.settings.rules.app_config import DEFINITIONS
from portal.settings.rules.send_settings import FAILURE_PERCENT, SEGMENTS_PER_DAY
from portal.settings.rules.webhook_setting import WEBHOOK
from portal.web.access import allow
from portal.web.paging import paginate
from portal.web.request_input import query_id

pages = Blueprint("sysadmin_alerts", __name__, url_prefix="/SysAdmin/Alerts")
_PAGE_SIZE = 25
_PAGES: dict[str, str] = {
    AlertKind.FAILURE_RATE: "admin_dashboard.page",
    AlertKind.SEGMENT_BUDGET: "admin_sends.listing",
    AlertKind.PROVIDER_AWAY: "sysadmin_harness.page",
    AlertKind.CHECK_FAILING: "sysadmin_harness.page",
    AlertKind.LOG_CHANGED: "sysadmin_audit.page",
}
"""Where to look first; Queues for all others."""


@dataclass(frozen=True)
class AlertView:
    alert: Alert
    text: AlertText
    told: str
    problems: tuple[str, ...]
    url: str


@pages.get("")
@allow("sysadmin")
def page() -> str:
    before, at_ms = query_id("before"), now_ms()
    ended = paginate(alerts.ended_alerts(before, _PAGE_SIZE + 1), _PAGE_SIZE, before)
    return render_template(
        "sysadmin/alerts/page.html",
        open_alerts=[_view(alert) for alert in alerts.announced_open_alerts()],
        page=ended,
        ended=[_view(alert) for alert in ended.rows],
        is_unwatched=SCHEDULER in missing_process_kinds(at_ms),
        settings=[DEFINITIONS[name] for name in (FAILURE_PERCENT, SEGMENTS_PER_DAY, WEBHOOK)],
        config=app_settings.configuration(),
        at_ms=at_ms,
    )


@pages.post("/test")
@allow("sysadmin")
def send_test() -> ResponseReturnValue:
    send_test_alert(current_user.id, now_ms())
    flash(_("A test alert is sent within a minute."))
    return redirect(url_for(".page"), 303)


def _view(alert: Alert) -> AlertView:
    problems = dict.fromkeys(_(notice.problem) for notice in alert.notices if notice.problem)
    endpoint = _PAGES.get(alert.kind, "sysadmin_queues.page")
    text = describe_alert(alert.kind, alert.subject)
    return AlertView(alert, text, _describe_notices(alert.notices), tuple(problems), url_for(endpoint))


def _describe_notices(notices: list[AlertNotice]) -> str:
    """“2 emails and 1 call of the webhook”; "" if nobody has been told."""
    sent = [notice.route for notice in notices if notice.sent_at_ms is not None]
    emails = sent.count(EMAIL)
    calls = len(sent) - emails
    return join_words(
        [
            *([ngettext("%(num)s email", "%(num)s emails", emails)] if emails else []),
            *([ngettext("%(num)s call of the webhook", "%(num)s calls of the webhook", calls)] if calls else []),
        ]
    )

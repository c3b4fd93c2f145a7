"""System → test harness: the page, and its first section, the diagnostics."""

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.core.clock import now_ms
from portal.core.errors import ActionRefused
from portal.core.translation import gettext as _
from portal.operations import diagnostics
from portal.operations.diagnostics import DiagnosticsReport
from portal.operations.rules.checks import group_checks, summarize_checks
from portal.operations.twilio_snapshot import webhook_urls
from portal.setup import twilio_connection
from portal.web.access import allow
from portal.web.request_input import is_htmx_request

pages = Blueprint("sysadmin_harness", __name__, url_prefix="/SysAdmin/SmsNotificationsTestHarness")


@pages.get("")
@allow("sysadmin")
def page() -> str:
    return render_template("sysadmin/harness/page.html")


@pages.get("/<any(doctor, webhooks, resume, texts):_step>")
@pages.get("/drills/<any(burst, timeout, lost, twice, killed):_step>")
@allow("sysadmin")
def redirect_to_page(_step: str) -> ResponseReturnValue:
    """Forms post to these addresses; reloading one leads to the page."""
    return redirect(url_for("sysadmin_harness.page"), 303)


@pages.post("/doctor")
@allow("sysadmin")
def run_diagnostics() -> ResponseReturnValue:
    return _render_report(diagnostics.run_diagnostics(now_ms))


@pages.post("/webhooks")
@allow("sysadmin")
def set_webhooks() -> ResponseReturnValue:
    message, error = "", ""
    try:
        message = twilio_connection.set_webhooks(current_user.id, now_ms())
    except ActionRefused as refusal:
        error = refusal.message
    return _render_report(diagnostics.run_diagnostics(now_ms), message, error)


@pages.post("/resume")
@allow("sysadmin")
def resume() -> ResponseReturnValue:
    report, blocker = diagnostics.resume_sending(now_ms, current_user.id)
    return _render_report(report, _("Twilio’s checks passed. Sending resumed."), blocker or "")


def _render_report(report: DiagnosticsReport, message: str = "", error: str = "") -> ResponseReturnValue:
    """Only the report for htmx; the whole page without JavaScript. An `error` replaces the `message`."""
    template = "sysadmin/harness/_report.html" if is_htmx_request() else "sysadmin/harness/page.html"
    page = render_template(
        template,
        report=report,
        check_groups=group_checks(report.checks),
        summary=summarize_checks(report.checks),
        message=error or message,
        tone="bad" if error else "ok",
        webhook_urls=webhook_urls(),
    )
    return page, 409 if error else 200

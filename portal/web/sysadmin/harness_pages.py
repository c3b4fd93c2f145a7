"""System → test harness: check the configuration before anybody is texted. The diagnostics are its first section."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.core.clock import now_ms
from portal.core.errors import ActionRefused
from portal.operations import diagnostics
from portal.operations.diagnostics import DiagnosticsReport
from portal.operations.rules.checks import CheckGroup, CheckResult, group_checks, summarize_checks
from portal.operations.twilio_snapshot import webhook_urls
from portal.web.access import allow
from portal.web.request_input import is_htmx_request

pages = Blueprint("sysadmin_harness", __name__, url_prefix="/SysAdmin/SmsNotificationsTestHarness")


@dataclass(frozen=True)
class DiagnosticsView:
    """The diagnostics as the page shows them; `message` and `tone` give the result of the button that was pressed."""

    groups: Sequence[tuple[CheckGroup, Sequence[CheckResult]]]
    summary: str
    at_ms: int
    message: str = ""
    tone: str = "ok"


@pages.get("")
@allow("sysadmin")
def page() -> str:
    return render_template("sysadmin/harness/page.html", diagnostics=None)


@pages.get("/<any(doctor, webhooks, resume):_step>")
@allow("sysadmin")
def redirect_to_page(_step: str) -> ResponseReturnValue:
    """Forms post to these addresses. Reloading one leads to the page with the buttons."""
    return redirect(url_for("sysadmin_harness.page"), 303)


@pages.post("/doctor")
@allow("sysadmin")
def run_diagnostics() -> ResponseReturnValue:
    return _render_report(diagnostics.run_diagnostics(now_ms))


@pages.post("/webhooks")
@allow("sysadmin")
def set_webhooks() -> ResponseReturnValue:
    try:
        message, tone = diagnostics.set_webhooks(), "ok"
    except ActionRefused as error:
        message, tone = error.message, "bad"
    return _render_report(diagnostics.run_diagnostics(now_ms), message, tone)


@pages.post("/resume")
@allow("sysadmin")
def resume() -> ResponseReturnValue:
    report, refusal = diagnostics.resume_sending(now_ms, current_user.id)
    if refusal is not None:
        return _render_report(report, refusal, "bad")
    return _render_report(report, "Twilio's checks passed, and sending goes on.")


def _render_report(report: DiagnosticsReport, message: str = "", tone: str = "ok") -> ResponseReturnValue:
    """Only the report for htmx; the whole page without JavaScript."""
    view = DiagnosticsView(group_checks(report.checks), summarize_checks(report.checks), report.at_ms, message, tone)
    template = "sysadmin/harness/_report.html" if is_htmx_request() else "sysadmin/harness/page.html"
    return render_template(template, diagnostics=view, webhook_urls=webhook_urls()), 409 if tone == "bad" else 200

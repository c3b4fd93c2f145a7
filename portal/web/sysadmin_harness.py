"""System → test harness: prove the configuration before anybody is texted. The doctor is its first section."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.actions import doctor
from portal.actions.doctor import Report
from portal.actions.errors import Refused
from portal.actions.twilio_findings import our_urls
from portal.clock import now_ms
from portal.domain.diagnosis import Check, Group, grouped, tally
from portal.web.access import allow
from portal.web.parsing import by_htmx

pages = Blueprint("sysadmin_harness", __name__, url_prefix="/SysAdmin/SmsNotificationsTestHarness")


@dataclass(frozen=True)
class Diagnosis:
    """What the doctor found, as the page shows it. `said` is about the button that was pressed, `tone` how it went."""

    groups: Sequence[tuple[Group, Sequence[Check]]]
    tally: str
    at_ms: int
    said: str = ""
    tone: str = "ok"


@pages.get("")
@allow("sysadmin")
def page() -> str:
    return render_template("sysadmin/harness/page.html", diagnosis=None)


@pages.get("/<any(doctor, webhooks, resume):_step>")
@allow("sysadmin")
def back(_step: str) -> ResponseReturnValue:
    """Where a form was sent to is no page: reloaded or typed, it leads to the one that has the buttons."""
    return redirect(url_for("sysadmin_harness.page"), 303)


@pages.post("/doctor")
@allow("sysadmin")
def examine() -> ResponseReturnValue:
    return _shown(doctor.diagnose(now_ms))


@pages.post("/webhooks")
@allow("sysadmin")
def set_webhooks() -> ResponseReturnValue:
    try:
        said, tone = doctor.set_webhooks(), "ok"
    except Refused as error:
        said, tone = error.sentence, "bad"
    return _shown(doctor.diagnose(now_ms), said, tone)


@pages.post("/resume")
@allow("sysadmin")
def resume() -> ResponseReturnValue:
    report, refusal = doctor.resume_sending(now_ms, current_user.id)
    if refusal is not None:
        return _shown(report, refusal, "bad")
    return _shown(report, "Twilio's checks passed, and sending goes on.")


def _shown(report: Report, said: str = "", tone: str = "ok") -> ResponseReturnValue:
    """To htmx the findings alone; without JavaScript the whole page with them."""
    found = Diagnosis(grouped(report.checks), tally(report.checks), report.at_ms, said, tone)
    template = "sysadmin/harness/_diagnosis.html" if by_htmx() else "sysadmin/harness/page.html"
    return render_template(template, diagnosis=found, our_urls=our_urls()), 409 if tone == "bad" else 200

"""System → queues: what waits or is being sent, pause and resume, and texts with an unknown outcome."""

from collections.abc import Callable

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.carriers.consent_reporting import try_refused_again
from portal.core.clock import now_ms
from portal.core.translation import gettext as _
from portal.delivery import mail_server_status
from portal.messages import lane_control
from portal.messages.rules.lane_labels import LANE_NAMES, lane_label
from portal.operations import diagnostics
from portal.operations.job_control import retry_job
from portal.operations.queue_overview import live_workers, load_queue_overview
from portal.sends import send_control
from portal.web.access import allow
from portal.web.error_pages import flash_outcome

pages = Blueprint("sysadmin_queues", __name__, url_prefix="/SysAdmin/Queues")
_POLL_SECONDS = 5
_LANES_BY_NAME = {name: lane for lane, name in LANE_NAMES.items()}


@pages.app_context_processor
def _template_context() -> dict[str, Callable[[], set[str]]]:
    return {"live_workers": lambda: live_workers(now_ms())}


@pages.get("")
@allow("sysadmin")
def page() -> str:
    return _render("sysadmin/queues/page.html")


@pages.get("/now")
@allow("sysadmin")
def refresh() -> str:
    return _render("sysadmin/queues/_overview.html")


def _render(template: str) -> str:
    overview = load_queue_overview(now_ms())
    return render_template(template, overview=overview, retry_url=retry_url, poll_seconds=_POLL_SECONDS)


def retry_url(job_id: str) -> str:
    return url_for("sysadmin_queues.retry", job_id=job_id)


@pages.post("/jobs/<job_id>/retry")
@allow("sysadmin")
def retry(job_id: str) -> ResponseReturnValue:
    message = _("The job was started again.")
    return _run_and_redirect(lambda: retry_job(job_id, current_user.id, now_ms()), message, "jobs")


@pages.post("/everything/<any(pause, resume):verb>")
@allow("sysadmin")
def control_everything(verb: str) -> ResponseReturnValue:
    pauses = verb == "pause"
    control = lane_control.pause_all_lanes if pauses else lane_control.resume_all_lanes
    message = _("Everything is paused.") if pauses else _("Sending resumed for everything.")
    return _run_and_redirect(lambda: control(current_user.id, now_ms()), message)


@pages.post("/lanes/<any(sms, email):channel>/<any(urgent, bulk):name>/<any(pause, resume):verb>")
@allow("sysadmin")
def control_lane(channel: str, name: str, verb: str) -> ResponseReturnValue:
    lane, pauses = _LANES_BY_NAME[name], verb == "pause"
    control, label = lane_control.pause_lane if pauses else lane_control.resume_lane, lane_label(channel, lane)
    resumed = _("Sending resumed for %(lane)s.", lane=label)
    message = _("The lane of %(lane)s is paused.", lane=label) if pauses else resumed
    return _run_and_redirect(lambda: control(channel, lane, current_user.id, now_ms()), message)


@pages.post("/sends/<id:send_id>/<any(pause, resume):verb>")
@allow("sysadmin")
def control_send(send_id: int, verb: str) -> ResponseReturnValue:
    pauses = verb == "pause"
    control = send_control.pause_send if pauses else send_control.resume_send
    message = _("The send is paused.") if pauses else _("Sending resumed.")
    return _run_and_redirect(lambda: control(send_id, current_user.id, now_ms()), message, "sends")


@pages.post("/senders/resume")
@allow("sysadmin")
def resume_sending() -> ResponseReturnValue:
    """Resumes only if no Twilio check of the diagnostics fails."""
    _report, blocker = diagnostics.resume_sending(now_ms, current_user.id)
    flash(blocker or _("Twilio’s checks passed. Sending resumed."), "error" if blocker else "info")
    return _redirect_to_section("senders")


@pages.post("/mail/try")
@allow("sysadmin")
def retry_email() -> ResponseReturnValue:
    message = _("One email is being tried now. If the server accepts it, the others follow.")
    return _run_and_redirect(lambda: mail_server_status.retry_mail_server_now(now_ms()), message, "mail")


@pages.post("/consent/try")
@allow("sysadmin")
def retry_consent() -> ResponseReturnValue:
    message = _("Twilio is told again within a minute.")
    return _run_and_redirect(lambda: try_refused_again(current_user.id, now_ms()), message, "consent")


def _run_and_redirect(control: Callable[[], None], message: str, section: str | None = None) -> ResponseReturnValue:
    with flash_outcome(message):
        control()
    return _redirect_to_section(section)


def _redirect_to_section(section: str | None) -> ResponseReturnValue:
    """Back to the section of the button; without one to the top."""
    return redirect(url_for(".page", _anchor=section), 303)

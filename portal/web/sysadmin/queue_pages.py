"""System → queues: what waits and moves, pausing and resuming it, and what is in doubt."""

from collections.abc import Callable

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.core.clock import now_ms
from portal.core.errors import ActionRefused
from portal.delivery import mail_server_status
from portal.messages import lanes
from portal.messages.rules.lane_labels import LANE_NAMES, lane_label
from portal.operations import diagnostics
from portal.operations.queue_overview import load_queue_overview
from portal.sends import send_control
from portal.web.access import allow

pages = Blueprint("sysadmin_queues", __name__, url_prefix="/SysAdmin/Queues")
_POLL_SECONDS = 5
_LANES_BY_NAME = {name: number for number, name in LANE_NAMES.items()}


@pages.get("")
@allow("sysadmin")
def page() -> str:
    return render_template(
        "sysadmin/queues/page.html", overview=load_queue_overview(now_ms()), poll_seconds=_POLL_SECONDS
    )


@pages.get("/now")
@allow("sysadmin")
def refresh() -> str:
    return render_template(
        "sysadmin/queues/_overview.html", overview=load_queue_overview(now_ms()), poll_seconds=_POLL_SECONDS
    )


@pages.post("/everything/<any(pause, resume):verb>")
@allow("sysadmin")
def control_everything(verb: str) -> ResponseReturnValue:
    control = lanes.pause_all_lanes if verb == "pause" else lanes.resume_all_lanes
    words = "Everything is paused." if verb == "pause" else "Everything goes on."
    return _run_and_redirect(lambda: control(current_user.id, now_ms()), words)


@pages.post("/lanes/<any(sms, email):channel>/<any(urgent, bulk):name>/<any(pause, resume):verb>")
@allow("sysadmin")
def control_lane(channel: str, name: str, verb: str) -> ResponseReturnValue:
    number = _LANES_BY_NAME[name]
    control = lanes.pause_lane if verb == "pause" else lanes.resume_lane
    words = f"The lane of {lane_label(channel, number)} {'is paused' if verb == 'pause' else 'goes on'}."
    return _run_and_redirect(lambda: control(channel, number, current_user.id, now_ms()), words)


@pages.post("/sends/<id:send_id>/<any(pause, resume):verb>")
@allow("sysadmin")
def control_send(send_id: int, verb: str) -> ResponseReturnValue:
    control = send_control.pause_send if verb == "pause" else send_control.resume_send
    words = "The send is paused." if verb == "pause" else "The send goes on."
    return _run_and_redirect(lambda: control(send_id, current_user.id, now_ms()), words, "sends")


@pages.post("/senders/resume")
@allow("sysadmin")
def resume_sending() -> ResponseReturnValue:
    """Only after a look at Twilio, as the doctor does it."""
    _, refusal = diagnostics.resume_sending(now_ms, current_user.id)
    flash(refusal or "Twilio’s checks passed, and sending goes on.", "error" if refusal else "info")
    return _redirect_to_section("senders")


@pages.post("/mail/try")
@allow("sysadmin")
def retry_email() -> ResponseReturnValue:
    return _run_and_redirect(
        lambda: mail_server_status.retry_mail_server_now(now_ms()),
        "One email is tried now. If it is taken, the others follow.",
        "mail",
    )


def _run_and_redirect(control: Callable[[], None], words: str, place: str | None = None) -> ResponseReturnValue:
    try:
        control()
        flash(words, "info")
    except ActionRefused as error:
        flash(error.message, "error")
    return _redirect_to_section(place)


def _redirect_to_section(place: str | None) -> ResponseReturnValue:
    """To where the button was; to the top, where it is said what was done, for those that are near it."""
    return redirect(url_for(".page", _anchor=place), 303)

"""System → queues: what waits and moves, pausing and resuming it, and the texts that only a person can decide."""

from collections.abc import Callable

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.actions import doctor, lanes, mail_server, send_control, unknowns
from portal.actions.board import board
from portal.actions.errors import Invalid, Refused
from portal.actions.unknowns import CONFIRMATIONS
from portal.clock import now_ms
from portal.domain.lane_words import LANE_NAMES, lane_words
from portal.web.access import allow
from portal.web.parsing import typed

pages = Blueprint("sysadmin_queues", __name__, url_prefix="/SysAdmin/Queues")
_EVERY_SECONDS = 5
_NUMBERS = {name: number for number, name in LANE_NAMES.items()}


@pages.get("")
@allow("sysadmin")
def page() -> str:
    return render_template("sysadmin/queues/page.html", board=board(now_ms()), every=_EVERY_SECONDS)


@pages.get("/now")
@allow("sysadmin")
def now() -> str:
    return render_template("sysadmin/queues/_board.html", board=board(now_ms()), every=_EVERY_SECONDS)


@pages.post("/everything/<any(pause, resume):verb>")
@allow("sysadmin")
def everything(verb: str) -> ResponseReturnValue:
    steer = lanes.pause_everything if verb == "pause" else lanes.resume_everything
    words = "Everything is paused." if verb == "pause" else "Everything goes on."
    return _done(lambda: steer(current_user.id, now_ms()), words)


@pages.post("/lanes/<any(sms, email):channel>/<any(urgent, bulk):name>/<any(pause, resume):verb>")
@allow("sysadmin")
def lane(channel: str, name: str, verb: str) -> ResponseReturnValue:
    number = _NUMBERS[name]
    steer = lanes.pause_lane if verb == "pause" else lanes.resume_lane
    words = f"The lane of {lane_words(channel, number)} {'is paused' if verb == 'pause' else 'goes on'}."
    return _done(lambda: steer(channel, number, current_user.id, now_ms()), words)


@pages.post("/sends/<id:send_id>/<any(pause, resume):verb>")
@allow("sysadmin")
def send(send_id: int, verb: str) -> ResponseReturnValue:
    steer = send_control.pause_send if verb == "pause" else send_control.resume_send
    words = "The send is paused." if verb == "pause" else "The send goes on."
    return _done(lambda: steer(send_id, current_user.id, now_ms()), words, "sends")


@pages.post("/senders/resume")
@allow("sysadmin")
def resume_sending() -> ResponseReturnValue:
    """Only after a look at Twilio, as the doctor does it."""
    _, refusal = doctor.resume_sending(now_ms, current_user.id)
    flash(refusal or "Twilio’s checks passed, and sending goes on.", "error" if refusal else "info")
    return _back("senders")


@pages.post("/mail/try")
@allow("sysadmin")
def try_mail() -> ResponseReturnValue:
    return _done(
        lambda: mail_server.try_now(now_ms()), "One email is tried now. If it is taken, the others follow.", "mail"
    )


@pages.get("/texts/<id:delivery_id>")
@allow("sysadmin")
def text(delivery_id: int) -> ResponseReturnValue:
    return _text(delivery_id, {})


@pages.post("/texts/<id:delivery_id>/look")
@allow("sysadmin")
def look(delivery_id: int) -> ResponseReturnValue:
    words = "Twilio is asked about it within seconds."
    return _done(lambda: unknowns.look_now(delivery_id, now_ms()), words, "unknown")


@pages.post("/texts/<id:delivery_id>/<any(sent, again):how>")
@allow("sysadmin")
def decide(delivery_id: int, how: str) -> ResponseReturnValue:
    words = {"sent": "The text is taken as sent.", "again": "The text is sent again."}[how]
    try:
        return _done(lambda: unknowns.decide(delivery_id, how, typed(how), current_user.id, now_ms()), words, "unknown")
    except Invalid as error:
        return _text(delivery_id, error.errors)


def _text(delivery_id: int, errors: dict[str, str]) -> ResponseReturnValue:
    found = unknowns.one_unknown(delivery_id) or abort(404)
    decidable = found.may_be_decided(now_ms())
    page = render_template(
        "sysadmin/queues/text.html", found=found, decidable=decidable, errors=errors, confirmations=CONFIRMATIONS
    )
    return page, 422 if errors else 200


def _done(steer: Callable[[], None], words: str, place: str | None = None) -> ResponseReturnValue:
    try:
        steer()
        flash(words, "info")
    except Invalid:
        raise
    except Refused as error:
        flash(error.sentence, "error")
    return _back(place)


def _back(place: str | None) -> ResponseReturnValue:
    """To where the button was; to the top, where it is said what was done, for those that are near it."""
    return redirect(url_for(".page", _anchor=place), 303)

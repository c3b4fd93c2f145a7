"""What Twilio tells us: receipts and texts from handsets. Nothing is believed without its signature."""

import json
from collections.abc import Callable
from threading import BoundedSemaphore
from typing import TypeVar

from flask import Blueprint, Response, abort, request
from flask.typing import ResponseReturnValue
from twilio.twiml.messaging_response import MessagingResponse

from portal.actions import settings as app_settings
from portal.actions.inbound import take_inbound
from portal.actions.receipts import take_receipt
from portal.actions.webhook_refusals import note_refused
from portal.clock import now_ms
from portal.context import settings
from portal.domain.webhook_refusals import PROXY_HEADERS
from portal.domain.webhook_signature import Call, is_signed_by
from portal.extensions import csrf
from portal.web.access import public
from portal.web.public_address import called_netloc

doors = Blueprint("hooks", __name__, url_prefix="/webhooks/twilio")
_LARGEST_BODY_BYTES = 64 * 1024
_CHECK = "check"
_MOST_WAITING = 16
"""Of the 24 threads that `portal web` has unless told otherwise."""
_waiting = BoundedSemaphore(_MOST_WAITING)
View = TypeVar("View", bound=Callable[..., ResponseReturnValue])


def _signed(view: View) -> View:
    """Reached without a session, so without its CSRF token: the signature says who calls."""
    exempt: View = csrf.exempt(view)
    return public(exempt)


@doors.post("/status", strict_slashes=False)
@_signed
def status() -> ResponseReturnValue:
    """When too many wait for the database already, Twilio is asked to come again: pages need threads as well."""
    form = _checked_form("status")
    if not _waiting.acquire(blocking=False):
        return "", 503, {"Retry-After": "1"}
    try:
        take_receipt(form, request.args.get("attempt", ""), now_ms())
    finally:
        _waiting.release()
    return "", 204


@doors.post("/inbound", strict_slashes=False)
@_signed
def inbound() -> ResponseReturnValue:
    answer = MessagingResponse()
    words = take_inbound(_checked_form("inbound"), now_ms())
    if words is not None:
        answer.message(words)
    return Response(str(answer), mimetype="text/xml")


@doors.post("/check")
@_signed
def check() -> ResponseReturnValue:
    """The target of the doctor's signed call to ourselves: it answers, and that is all."""
    _checked_form(_CHECK)
    return "", 204


@doors.post("/<path:_elsewhere>")
@_signed
def other(_elsewhere: str) -> ResponseReturnValue:
    """There is no such webhook. Where Twilio calls it all the same, somebody should know."""
    request.max_content_length = _LARGEST_BODY_BYTES
    _note("other", _call())
    abort(404)


def _checked_form(door: str) -> dict[str, str]:
    """The form, if one of our tokens signed it; else 403, whatever else is odd about it."""
    request.max_content_length = _LARGEST_BODY_BYTES
    call = _call()
    public_url = settings().public_url
    if not app_settings.has_signed(lambda token: is_signed_by(call, token, public_url)):
        if door != _CHECK:
            _note(door, call)
        abort(403)
    return _said(call)


def _note(door: str, call: Call) -> None:
    headers = {name: request.headers.get(name, "") for name in PROXY_HEADERS} | {"Host": called_netloc()}
    note_refused(door, call, {**request.args, **_said(call)}, headers, now_ms())


def _call() -> Call:
    """As it came. What is called is known by the public address of the settings, never by the Host header."""
    body = request.get_data() if request.is_json else None
    return Call(
        path=request.path,
        query=request.query_string.decode("latin-1"),
        fields=dict(request.form.lists()),
        signature=request.headers.get("X-Twilio-Signature", ""),
        settings=request.headers.get("X-Twilio-Webhooks-Signature-Settings", ""),
        body=body,
    )


def _said(call: Call) -> dict[str, str]:
    """The first of the values of each field."""
    return {name: values[0] for name, values in call.fields.items()} if call.body is None else _read(call.body)


def _read(body: bytes | None) -> dict[str, str]:
    """What a signed JSON body says, as a form would; nothing of what is no object."""
    try:
        found = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        return {}
    pairs = found.items() if isinstance(found, dict) else ()
    return {name: str(value) for name, value in pairs if isinstance(value, str | int | float)}

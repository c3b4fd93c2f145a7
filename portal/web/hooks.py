"""What Twilio tells us: receipts and texts from handsets. Nothing is believed without its signature."""

from collections.abc import Callable
from threading import BoundedSemaphore
from typing import TypeVar

from flask import Blueprint, Response, abort, request
from flask.typing import ResponseReturnValue
from twilio.request_validator import RequestValidator
from twilio.twiml.messaging_response import MessagingResponse

from portal.actions import settings as app_settings
from portal.actions.inbound import take_inbound
from portal.actions.receipts import take_receipt
from portal.clock import now_ms
from portal.context import settings
from portal.extensions import csrf
from portal.web.access import public

doors = Blueprint("hooks", __name__, url_prefix="/webhooks/twilio")
_LARGEST_BODY_BYTES = 64 * 1024
_MOST_WAITING = 16
"""Of the 24 threads that `portal web` has unless told otherwise."""
_waiting = BoundedSemaphore(_MOST_WAITING)
View = TypeVar("View", bound=Callable[..., ResponseReturnValue])


def _signed(view: View) -> View:
    """Reached without a session, so without its CSRF token: the signature says who calls."""
    exempt: View = csrf.exempt(view)
    return public(exempt)


@doors.post("/status")
@_signed
def status() -> ResponseReturnValue:
    """When too many wait for the database already, Twilio is asked to come again: pages need threads as well."""
    form = _checked_form()
    if not _waiting.acquire(blocking=False):
        return "", 503, {"Retry-After": "1"}
    try:
        take_receipt(form, request.args.get("attempt", ""), now_ms())
    finally:
        _waiting.release()
    return "", 204


@doors.post("/inbound")
@_signed
def inbound() -> ResponseReturnValue:
    answer = MessagingResponse()
    words = take_inbound(_checked_form(), now_ms())
    if words is not None:
        answer.message(words)
    return Response(str(answer), mimetype="text/xml")


@doors.post("/check")
@_signed
def check() -> ResponseReturnValue:
    """The target of the doctor's signed call to ourselves: it answers, and that is all."""
    _checked_form()
    return "", 204


def _checked_form() -> dict[str, str]:
    """The form, if one of our tokens signed it; else 403, whatever else is odd about it."""
    request.max_content_length = _LARGEST_BODY_BYTES
    form = request.form.to_dict()
    signature = request.headers.get("X-Twilio-Signature", "")
    if not signature or not app_settings.has_signed(lambda token: _fits(token, form, signature)):
        abort(403)
    return form


def _fits(token: str, form: dict[str, str], signature: str) -> bool:
    try:
        return bool(RequestValidator(token).validate(_signed_address(), form, signature))
    except (ValueError, UnicodeError):
        return False


def _signed_address() -> str:
    """As Twilio was told to call us: by the public address of the settings, never by the Host header."""
    query = request.query_string.decode("latin-1")
    return f"{settings().public_url}{request.path}" + (f"?{query}" if query else "")

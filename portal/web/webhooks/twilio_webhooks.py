"""Twilio's webhooks: receipts and inbound texts. A call without a valid signature is rejected."""

from collections.abc import Callable
from threading import BoundedSemaphore
from typing import TypeVar

from flask import Blueprint, Response, abort, request
from flask.typing import ResponseReturnValue
from twilio.twiml.messaging_response import MessagingResponse

from portal.consent.inbound_processing import receive_inbound
from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.extensions import csrf
from portal.delivery.receipts import record_receipt
from portal.gateways.rules.webhook_signature import WebhookCall, is_signed_by
from portal.operations.rules.rejection_reasons import PROXY_URL_HEADERS
from portal.operations.webhook_rejections import record_rejection
from portal.settings import app_settings
from portal.web.access import public
from portal.web.public_url import original_netloc

blueprint = Blueprint("webhooks", __name__, url_prefix="/webhooks/twilio")
_MAX_BODY_BYTES = 64 * 1024
_CHECK = "check"
_MAX_CONCURRENT_RECEIPTS = 16
"""Out of the 24 threads that `portal web` has by default."""
_receipt_slots = BoundedSemaphore(_MAX_CONCURRENT_RECEIPTS)
View = TypeVar("View", bound=Callable[..., ResponseReturnValue])


def _signed_webhook(view: View) -> View:
    """Mark a view as public and free of CSRF checks: callers have no session, and the signature authenticates them."""
    exempt: View = csrf.exempt(view)
    return public(exempt)


@blueprint.post("/status", strict_slashes=False)
@_signed_webhook
def status() -> ResponseReturnValue:
    """Answers 503 when too many receipts wait for the database, so that pages keep threads; Twilio retries."""
    form = _verified_form("status")
    if not _receipt_slots.acquire(blocking=False):
        return "", 503, {"Retry-After": "1"}
    try:
        record_receipt(form, request.args.get("attempt", ""), now_ms())
    finally:
        _receipt_slots.release()
    return "", 204


@blueprint.post("/inbound", strict_slashes=False)
@_signed_webhook
def inbound() -> ResponseReturnValue:
    twiml = MessagingResponse()
    reply = receive_inbound(_verified_form("inbound"), now_ms())
    if reply is not None:
        twiml.message(reply)
    return Response(str(twiml), mimetype="text/xml")


@blueprint.post("/check")
@_signed_webhook
def check() -> ResponseReturnValue:
    """Target of the signed call that the diagnostics make to the portal itself."""
    _verified_form(_CHECK)
    return "", 204


@blueprint.post("/<path:_elsewhere>")
@_signed_webhook
def unknown_webhook(_elsewhere: str) -> ResponseReturnValue:
    """Records a call to a webhook that does not exist: Twilio may be configured wrongly."""
    request.max_content_length = _MAX_BODY_BYTES
    _record_rejection("unknown_webhook", _webhook_call())
    abort(404)


def _verified_form(endpoint: str) -> dict[str, str]:
    """The form if one of our tokens signed it; otherwise aborts with 403."""
    request.max_content_length = _MAX_BODY_BYTES
    call = _webhook_call()
    public_url = settings().public_url
    if not app_settings.is_signed_with_token(lambda token: is_signed_by(call, token, public_url)):
        if endpoint != _CHECK:
            _record_rejection(endpoint, call)
        abort(403)
    return _first_values(call)


def _record_rejection(endpoint: str, call: WebhookCall) -> None:
    headers = {name: request.headers.get(name, "") for name in PROXY_URL_HEADERS} | {"Host": original_netloc()}
    record_rejection(endpoint, call, {**request.args, **_first_values(call)}, headers, now_ms())


def _first_values(call: WebhookCall) -> dict[str, str]:
    """Twilio names each field once."""
    return {name: values[0] for name, values in call.fields.items()}


def _webhook_call() -> WebhookCall:
    """The call as received. The signed URL comes from the configured public URL, never from the Host header."""
    return WebhookCall(
        path=request.path,
        query=request.query_string.decode("latin-1"),
        fields=dict(request.form.lists()),
        signature=request.headers.get("X-Twilio-Signature", ""),
        signature_settings=request.headers.get("X-Twilio-Webhooks-Signature-Settings", ""),
    )

"""POST Messages.json: everything Twilio checks before it says 201."""

import re
from urllib.parse import urlsplit

from aiohttp import web

from simulator.api.door import Request
from simulator.carrier import now_ms
from simulator.codes import ApiError
from simulator.inbound import new_sid
from simulator.message import Message, resource
from simulator.numbers import MAGIC_FROM, MAGIC_FROM_ACCEPTED, MAGIC_TO, is_phone_number, is_sender
from simulator.segments import count_segments, utf16_units

_SERVICE = re.compile(r"MG[0-9a-fA-F]{32}")
_LONGEST_BODY = 1600
_LONGEST_CALLBACK = 4000
_VALIDITY_SECONDS = range(1, 36_001)


async def create_message(request: Request) -> web.Response:
    sender = _checked_sender(request)
    _check_recipient(request, sender)
    _check_text(request)
    validity_seconds = _checked_validity(request.form.get("ValidityPeriod", ""))
    check_url(request.form.get("StatusCallback", ""))
    _check_blocks(request, sender)
    message = _new_message(request, sender, validity_seconds)
    request.call.accepted, request.call.sid = True, message.sid
    request.world.store.accept(message, request.call)
    answer = resource(message)  # as it is now: the carrier may change it before this is sent
    if not request.is_test:
        request.world.carrier.take(message)
    return web.json_response(answer, status=201)


def _checked_sender(request: Request) -> str:
    sender, service = request.form.get("From", ""), request.form.get("MessagingServiceSid", "")
    if not request.form.get("To"):
        raise ApiError(21604)
    if not sender and not service:
        raise ApiError(21603)
    if request.is_test:
        return _checked_magic_sender(sender)
    _check_account(request)
    return _checked_own_sender(request, sender) if sender else _sender_of_service(request, service)


def _check_account(request: Request) -> None:
    if request.world.faults.account.status != "active":
        raise ApiError(20005, 403)


def _checked_own_sender(request: Request, sender: str) -> str:
    if not is_sender(sender):
        raise ApiError(21212)
    if sender == request.form["To"]:
        raise ApiError(21266)
    if not request.world.owns(sender) or not request.world.faults.account.sms:
        raise ApiError(21606)
    return sender


def _sender_of_service(request: Request, service: str) -> str:
    """Any well-formed service is taken for one of ours, with the first number in it."""
    if not _SERVICE.fullmatch(service):
        raise ApiError(21705)
    return request.world.settings.from_numbers[0]


def _checked_magic_sender(sender: str) -> str:
    if sender != MAGIC_FROM_ACCEPTED:
        raise ApiError(MAGIC_FROM.get(sender, 21606))
    return sender


def _check_recipient(request: Request, sender: str) -> None:
    recipient = request.form["To"]
    if request.is_test and recipient in MAGIC_TO:
        raise ApiError(MAGIC_TO[recipient])
    if not is_phone_number(recipient):
        raise ApiError(21211)
    if recipient == sender:
        raise ApiError(21266)


def _check_text(request: Request) -> None:
    body = request.form.get("Body", "")
    if not body and not request.form.get("MediaUrl") and not request.form.get("ContentSid"):
        raise ApiError(21602)
    if utf16_units(body) > _LONGEST_BODY:
        raise ApiError(21617)


def _checked_validity(typed: str) -> int:
    if not typed:
        return _VALIDITY_SECONDS[-1]
    if not typed.isdecimal() or int(typed) not in _VALIDITY_SECONDS:
        raise ApiError(21624)
    return int(typed)


def check_url(url: str) -> None:
    if not url:
        return
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise ApiError(21609) from None
    if parts.scheme not in ("http", "https") or not host or "_" in host or len(url) > _LONGEST_CALLBACK:
        raise ApiError(21609)


def _check_blocks(request: Request, sender: str) -> None:
    if request.is_test:
        return
    if (sender, request.form["To"]) in request.world.store.blocks:
        raise ApiError(21610)
    if request.world.carrier.is_full(sender):
        raise ApiError(21611)


def _new_message(request: Request, sender: str, validity_seconds: int) -> Message:
    form, at_ms = request.form, now_ms()
    service = form.get("MessagingServiceSid") or None
    body = form.get("Body", "")
    return Message(
        sid=new_sid(),
        account_sid=request.call.account_sid or "",
        sender=sender,
        recipient=form["To"],
        body=body,
        direction="outbound-api",
        status="accepted" if service else "queued",
        segments=count_segments(body),
        created_ms=at_ms,
        updated_ms=at_ms,
        media_count=1 if form.get("MediaUrl") else 0,
        status_callback=form.get("StatusCallback", ""),
        service_sid=service,
        validity_seconds=validity_seconds,
        forced_code=request.fault.code if request.fault and request.fault.kind == "reject" else None,
    )

"""POST Messages.json, with the checks that Twilio makes before it accepts a text (docs/twilio.md#messages)."""

from aiohttp import web

from simulator.api.magic_numbers import MAGIC_FROM_ACCEPTED, MAGIC_FROM_ERRORS, MAGIC_TO_ERRORS
from simulator.api.request import ApiRequest
from simulator.api.validation import check_url, is_service_sid
from simulator.current_time import now_ms
from simulator.error_codes import ApiError
from simulator.messages.inbound import new_message_sid
from simulator.messages.message import Message, message_resource
from simulator.messages.segments import count_segments, utf16_units
from simulator.number_formats import is_from_number, is_phone_number

_MAX_BODY_LENGTH = 1600
_VALIDITY_SECONDS = range(1, 36_001)


async def create_message(request: ApiRequest) -> web.Response:
    from_number = _checked_from_number(request)
    _check_to_number(request, from_number)
    _check_body(request)
    validity_seconds = _checked_validity(request.form.get("ValidityPeriod", ""))
    check_url(request.form.get("StatusCallback", ""))
    _check_can_send(request, from_number)
    message = _new_message(request, from_number, validity_seconds)
    request.log_entry.accepted, request.log_entry.sid = True, message.sid
    request.state.store.accept(message, request.log_entry)
    resource = message_resource(message)  # before the carrier can change the message
    if not request.is_test:
        request.state.carrier.enqueue(message)
    return web.json_response(resource, status=201)


def _checked_from_number(request: ApiRequest) -> str:
    from_number, service_sid = request.form.get("From", ""), request.form.get("MessagingServiceSid", "")
    if not request.form.get("To"):
        raise ApiError(21604)
    if not from_number and not service_sid:
        raise ApiError(21603)
    if request.is_test:
        return _checked_magic_number(from_number)
    if request.state.faults.account.status != "active":
        raise ApiError(20005, 403)
    return _checked_own_number(request, from_number) if from_number else _number_of_service(request, service_sid)


def _checked_own_number(request: ApiRequest, from_number: str) -> str:
    if not is_from_number(from_number):
        raise ApiError(21212)
    if from_number == request.form["To"]:
        raise ApiError(21266)
    if not request.state.owns(from_number) or not request.state.faults.account.sms:
        raise ApiError(21606)
    return from_number


def _number_of_service(request: ApiRequest, service_sid: str) -> str:
    """Every well-formed service exists and contains the account's first number."""
    if not is_service_sid(service_sid):
        raise ApiError(21705)
    return request.state.settings.from_numbers[0]


def _checked_magic_number(from_number: str) -> str:
    if from_number != MAGIC_FROM_ACCEPTED:
        raise ApiError(MAGIC_FROM_ERRORS.get(from_number, 21606))
    return from_number


def _check_to_number(request: ApiRequest, from_number: str) -> None:
    to_number = request.form["To"]
    if request.is_test and to_number in MAGIC_TO_ERRORS:
        raise ApiError(MAGIC_TO_ERRORS[to_number])
    if not is_phone_number(to_number):
        raise ApiError(21211)
    if to_number == from_number:
        raise ApiError(21266)


def _check_body(request: ApiRequest) -> None:
    body = request.form.get("Body", "")
    if not body and not request.form.get("MediaUrl") and not request.form.get("ContentSid"):
        raise ApiError(21602)
    if utf16_units(body) > _MAX_BODY_LENGTH:
        raise ApiError(21617)


def _checked_validity(text: str) -> int:
    if not text:
        return _VALIDITY_SECONDS[-1]
    if not text.isdecimal() or int(text) not in _VALIDITY_SECONDS:
        raise ApiError(21624)
    return int(text)


def _check_can_send(request: ApiRequest, from_number: str) -> None:
    if request.is_test:
        return
    if (from_number, request.form["To"]) in request.state.store.opt_outs:
        raise ApiError(21610)
    if request.state.carrier.is_queue_full(from_number):
        raise ApiError(21611)


def _new_message(request: ApiRequest, from_number: str, validity_seconds: int) -> Message:
    form, at_ms = request.form, now_ms()
    service_sid = form.get("MessagingServiceSid") or None
    body = form.get("Body", "")
    return Message(
        sid=new_message_sid(),
        account_sid=request.log_entry.account_sid or "",
        from_number=from_number,
        to_number=form["To"],
        body=body,
        direction="outbound-api",
        status="accepted" if service_sid else "queued",
        segments=count_segments(body),
        created_ms=at_ms,
        updated_ms=at_ms,
        media_count=1 if form.get("MediaUrl") else 0,
        status_callback=form.get("StatusCallback", ""),
        service_sid=service_sid,
        validity_seconds=validity_seconds,
        forced_code=request.fault.code if request.fault and request.fault.kind == "reject" else None,
    )

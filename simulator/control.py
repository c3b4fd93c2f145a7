"""The simulator's own JSON addresses, for tests and demonstrations."""

from collections.abc import Awaitable, Callable
from json import JSONDecodeError
from typing import Any

from aiohttp import web

from simulator.calls import call_json
from simulator.carrier import now_ms
from simulator.fault_json import FaultError, faults_json, parse_faults, started_with
from simulator.inbound import new_sid
from simulator.mail import Mail, parts_of
from simulator.message import Message, resource
from simulator.numbers import is_phone_number
from simulator.segments import count_segments
from simulator.world import WORLD, World

_MOST_DELIVERIES = 100


class BadRequest(ValueError):
    """The JSON is not what this address takes; the text says what it takes."""


async def show_faults(request: web.Request) -> web.Response:
    return web.json_response(faults_json(request.app[WORLD].faults))


async def put_faults(request: web.Request) -> web.Response:
    world = request.app[WORLD]
    world.faults = parse_faults(await _json(request), world.settings)
    return web.json_response(faults_json(world.faults))


async def delete_faults(request: web.Request) -> web.Response:
    world = request.app[WORLD]
    world.faults = started_with(world.settings)
    return web.json_response(faults_json(world.faults))


async def show_log(request: web.Request) -> web.Response:
    """`?after=N` gives what came after line N."""
    after = _whole(request, "after")
    calls = request.app[WORLD].store.calls.values()
    return web.json_response({"log": [call_json(call) for call in calls if call.n > after]})


async def show_messages(request: web.Request) -> web.Response:
    """Accepted texts to handsets; `?direction=inbound` for those from handsets, `?to=` for one recipient."""
    wanted, to = request.query.get("direction", "outbound"), request.query.get("to")
    found = [
        _message_json(message, request.app[WORLD])
        for message in request.app[WORLD].store.messages.values()
        if message.direction.startswith(wanted) and to in (None, message.recipient)
    ]
    return web.json_response({"messages": found})


def _message_json(message: Message, world: World) -> dict[str, Any]:
    return {
        **resource(message),
        "body": message.body,
        "from": message.sender,
        "accepted_at_ms": message.created_ms,
        "reached_at_ms": message.reached_ms,
        "test": message.account_sid == world.settings.test.account_sid,
        "deleted": message.deleted,
        "redacted": message.redacted,
        "status_callback": message.status_callback,
        "validity_seconds": message.validity_seconds,
        "receipts": message.receipts,
    }


async def show_mail(request: web.Request) -> web.Response:
    """`?to=` keeps the mails to one recipient, `?after=N` those after mail N."""
    store, to, after = request.app[WORLD].store, request.query.get("to"), _whole(request, "after")
    wanted = [mail for mail in store.mails[after:] if to is None or to in mail.recipients]
    return web.json_response({"mail": [_mail_json(mail, store.raw_mail(mail.id) or b"") for mail in wanted]})


def _mail_json(mail: Mail, raw: bytes) -> dict[str, Any]:
    parts = parts_of(raw)
    return {
        "id": mail.id,
        "at_ms": mail.at_ms,
        "from": mail.sender,
        "to": list(mail.recipients),
        "subject": mail.subject,
        "message_id": mail.message_id,
        "headers": parts.headers,
        "text": parts.text,
        "html": parts.html,
    }


async def post_inbound(request: web.Request) -> web.Response:
    """Answers when the product has answered: one entry in `deliveries` for each POST to it."""
    world, given = request.app[WORLD], await _json(request)
    handset, number = _text(given, "from"), _text(given, "to", world.settings.from_numbers[0])
    times = given.get("deliver", 1)
    if not is_phone_number(handset) or not world.owns(number):
        raise BadRequest("from must be a phone number such as +12025550123, and to one of the simulator's numbers.")
    if not isinstance(times, int) or not 0 <= times <= _MOST_DELIVERIES:
        raise BadRequest(f"deliver must be a whole number from 0 to {_MOST_DELIVERIES}.")
    delivery = await world.inbound.receive(
        handset, number, _text(given, "body"), given.get("message_sid") or None, times
    )
    answers = [{"status": each.status, "error": each.error} for each in delivery.answers]
    return web.json_response({"sid": delivery.sid, "deliveries": answers, "replies": delivery.replies})


async def post_reset(request: web.Request) -> web.Response:
    await request.app[WORLD].forget_everything()
    return web.json_response({"reset": True})


async def post_seed(request: web.Request) -> web.Response:
    """Texts that are simply there, as if sent and received before; no webhook hears of them."""
    world, given = request.app[WORLD], await _json(request)
    messages = [_seeded(each, world) for each in given.get("messages", [])]
    for message in messages:
        world.store.add_message(message)
    return web.json_response({"sids": [message.sid for message in messages]})


def _seeded(given: dict[str, Any], world: World) -> Message:
    inbound = given.get("direction") == "inbound"
    at_ms = int(given.get("at_ms") or now_ms())
    own = world.settings.from_numbers[0]
    return Message(
        sid=new_sid(),
        account_sid=world.settings.live.account_sid,
        sender=_text(given, "from", None if inbound else own),
        recipient=_text(given, "to", own if inbound else None),
        body=_text(given, "body"),
        direction="inbound" if inbound else "outbound-api",
        status="received" if inbound else "delivered",
        segments=count_segments(_text(given, "body")),
        created_ms=at_ms,
        updated_ms=at_ms,
        sent_ms=at_ms,
        reached_ms=at_ms,
    )


# Reading and routing

Handler = Callable[[web.Request], Awaitable[web.Response]]


def add_routes(app: web.Application) -> None:
    routes: list[tuple[str, str, Handler]] = [
        ("GET", "faults", show_faults),
        ("PUT", "faults", put_faults),
        ("DELETE", "faults", delete_faults),
        ("GET", "log", show_log),
        ("GET", "messages", show_messages),
        ("GET", "mail", show_mail),
        ("POST", "inbound", post_inbound),
        ("POST", "reset", post_reset),
        ("POST", "seed", post_seed),
    ]
    for method, name, handler in routes:
        app.router.add_route(method, f"/simulator/{name}", _answering_in_json(handler))


def _answering_in_json(handler: Handler) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except (BadRequest, FaultError) as error:
            return web.json_response({"error": str(error)}, status=400)

    return handle


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        given = await request.json()
    except (JSONDecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"The body must be JSON: {error}") from None
    if not isinstance(given, dict):
        raise BadRequest("The body must be a JSON object.")
    return given


def _text(given: dict[str, Any], name: str, default: str | None = None) -> str:
    value = given.get(name, default)
    if not isinstance(value, str):
        raise BadRequest(f"{name} is needed, as text.")
    return value


def _whole(request: web.Request, name: str) -> int:
    text = request.query.get(name, "0")
    if not text.isdecimal():
        raise BadRequest(f"{name} must be a whole number.")
    return int(text)

"""The request log and the messages; texts from handsets, seeded texts and the reset."""

from typing import Any

from aiohttp import web

from simulator.control.input import BadRequest, json_body, string, whole_number
from simulator.current_time import now_ms
from simulator.messages.inbound import new_message_sid
from simulator.messages.message import Message, message_resource
from simulator.messages.segments import count_segments
from simulator.number_formats import is_phone_number
from simulator.state import STATE, State
from simulator.storage.request_log import log_entry_json

_MAX_POSTS = 100


async def show_log(request: web.Request) -> web.Response:
    """`?after=N` returns only the entries after entry N."""
    after = whole_number(request, "after")
    entries = request.app[STATE].store.request_log.values()
    return web.json_response({"log": [log_entry_json(entry) for entry in entries if entry.n > after]})


async def list_messages(request: web.Request) -> web.Response:
    """Accepted texts to handsets, or with `?direction=inbound` those from handsets. `?to=` selects a recipient."""
    direction, to_number = request.query.get("direction", "outbound"), request.query.get("to")
    messages = [
        _message_json(message, request.app[STATE])
        for message in request.app[STATE].store.messages.values()
        if message.direction.startswith(direction) and to_number in (None, message.to_number)
    ]
    return web.json_response({"messages": messages})


def _message_json(message: Message, state: State) -> dict[str, Any]:
    return {
        **message_resource(message),
        "body": message.body,
        "from": message.from_number,
        "accepted_at_ms": message.created_ms,
        "reached_at_ms": message.reached_ms,
        "test": message.account_sid == state.settings.test.account_sid,
        "deleted": message.deleted,
        "redacted": message.redacted,
        "status_callback": message.status_callback,
        "validity_seconds": message.validity_seconds,
        "receipts": message.receipts,
    }


async def receive_inbound(request: web.Request) -> web.Response:
    """Respond after the application has responded to every POST; `deliveries` has one entry for each."""
    state, data = request.app[STATE], await json_body(request)
    handset, sending_number = string(data, "from"), string(data, "to", state.settings.from_numbers[0])
    posts = data.get("deliver", 1)
    if not is_phone_number(handset) or not state.owns(sending_number):
        raise BadRequest("from must be a phone number such as +12025550123, and to one of the simulator's numbers.")
    if not isinstance(posts, int) or not 0 <= posts <= _MAX_POSTS:
        raise BadRequest(f"deliver must be a whole number from 0 to {_MAX_POSTS}.")
    delivery = await state.inbound.receive(
        handset, sending_number, string(data, "body"), data.get("message_sid") or None, posts
    )
    responses = [{"status": response.status, "error": response.error} for response in delivery.responses]
    return web.json_response({"sid": delivery.sid, "deliveries": responses, "replies": delivery.replies})


async def reset(request: web.Request) -> web.Response:
    await request.app[STATE].reset()
    return web.json_response({"reset": True})


async def seed_messages(request: web.Request) -> web.Response:
    """Store texts as if they had been sent or received earlier, without calling a webhook."""
    state, data = request.app[STATE], await json_body(request)
    messages = [_seeded_message(message, state) for message in data.get("messages", [])]
    for message in messages:
        state.store.add_message(message)
    return web.json_response({"sids": [message.sid for message in messages]})


def _seeded_message(data: dict[str, Any], state: State) -> Message:
    inbound = data.get("direction") == "inbound"
    at_ms = int(data.get("at_ms") or now_ms())
    sending_number = state.settings.from_numbers[0]
    return Message(
        sid=new_message_sid(),
        account_sid=state.settings.live.account_sid,
        from_number=string(data, "from", None if inbound else sending_number),
        to_number=string(data, "to", sending_number if inbound else None),
        body=string(data, "body"),
        direction="inbound" if inbound else "outbound-api",
        status="received" if inbound else "delivered",
        segments=count_segments(string(data, "body")),
        created_ms=at_ms,
        updated_ms=at_ms,
        sent_ms=at_ms,
        reached_ms=at_ms,
    )

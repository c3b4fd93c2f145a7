"""One message: fetched, emptied of its body, deleted."""

from aiohttp import web

from simulator.api.door import Request
from simulator.codes import ApiError
from simulator.message import FINAL_STATUSES, Message, resource


async def fetch_message(request: Request) -> web.Response:
    return web.json_response(resource(_found(request)))


async def update_message(request: Request) -> web.Response:
    """An empty Body redacts the text; nothing else can be changed here (there are no scheduled messages)."""
    message = _found(request)
    if request.form.get("Body") != "":
        raise ApiError(20001, detail="Only an empty Body is accepted: it redacts the text.")
    _check_finished(message)
    message.redacted = True
    request.world.store.save_message(message)
    return web.json_response(resource(message))


async def delete_message(request: Request) -> web.Response:
    """Gone from the API; it stays on the handset, as on a real one."""
    message = _found(request)
    _check_finished(message)
    message.deleted = True
    request.world.store.save_message(message)
    return web.Response(status=204)


def _found(request: Request) -> Message:
    message = request.world.store.messages.get(request.web.match_info["sid"])
    if message is None or message.deleted or message.account_sid != request.call.account_sid:
        raise ApiError(20404, 404)
    return message


def _check_finished(message: Message) -> None:
    if message.status not in FINAL_STATUSES | {"sent"}:
        raise ApiError(20009)

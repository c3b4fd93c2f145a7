"""Fetch, redact and delete one message."""

from aiohttp import web

from simulator.api.request import ApiRequest
from simulator.error_codes import ApiError
from simulator.messages.message import FINAL_STATUSES, Message, message_resource


async def fetch_message(request: ApiRequest) -> web.Response:
    return web.json_response(message_resource(_requested_message(request)))


async def update_message(request: ApiRequest) -> web.Response:
    """An empty Body redacts the text. Twilio's other update cancels a scheduled message; the simulator has none."""
    message = _requested_message(request)
    if request.form.get("Body") != "":
        raise ApiError(20001, detail="Only an empty Body is accepted: it redacts the text.")
    _check_finished(message)
    message.redacted = True
    request.state.store.save_message(message)
    return web.json_response(message_resource(message))


async def delete_message(request: ApiRequest) -> web.Response:
    """Delete the message from the API. It stays on the handset, as a real one does."""
    message = _requested_message(request)
    _check_finished(message)
    message.deleted = True
    request.state.store.save_message(message)
    return web.Response(status=204)


def _requested_message(request: ApiRequest) -> Message:
    message = request.state.store.messages.get(request.web.match_info["sid"])
    if message is None or message.deleted or message.account_sid != request.log_entry.account_sid:
        raise ApiError(20404, 404)
    return message


def _check_finished(message: Message) -> None:
    if message.status not in FINAL_STATUSES | {"sent"}:
        raise ApiError(20009)

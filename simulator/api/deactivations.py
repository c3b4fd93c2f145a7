"""The phone numbers that US carriers deactivated on a day: a link, valid for two minutes, to a file of numbers."""

import hmac
import time
from datetime import UTC, date, datetime
from hashlib import sha256

from aiohttp import web

from simulator.api.request import ApiRequest
from simulator.error_codes import ApiError
from simulator.state import STATE, State

_LINK_SECONDS = 120


async def fetch_deactivations(request: ApiRequest) -> web.Response:
    try:
        day = date.fromisoformat(request.web.query.get("Date", ""))
    except ValueError:
        raise ApiError(20001) from None
    if day >= datetime.now(UTC).date():
        raise ApiError(20404, 404)
    is_expired = request.fault is not None and request.fault.kind == "expired_link"
    expires = int(time.time()) + (-1 if is_expired else _LINK_SECONDS)
    signature = _signature(request.state, day.isoformat(), expires)
    url = request.web.url.origin().with_path(f"/files/deactivations/{day}.txt")
    link = str(url.with_query(expires=str(expires), signature=signature))
    return web.json_response({"redirect_to": link}, status=307, headers={"Location": link})


async def download(request: web.Request) -> web.StreamResponse:
    """A rule of kind `half_file` for this call cuts the connection in the middle."""
    state, day, expires = request.app[STATE], request.match_info["day"], request.query.get("expires", "")
    expected = _signature(state, day, int(expires) if expires.isdecimal() else 0)
    is_valid = hmac.compare_digest(expected, request.query.get("signature", ""))
    if not is_valid or int(expires) < time.time():
        return web.Response(status=403, text="<Error><Code>AccessDenied</Code></Error>", content_type="application/xml")
    text = "".join(f"{number.removeprefix('+')}\n" for number in state.store.deactivated.get(day, ()))
    fault = state.faults.next_api_fault("file", None)
    if fault is None or fault.kind != "half_file":
        return web.Response(text=text, content_type="text/plain")
    response = web.StreamResponse(headers={"Content-Length": str(len(text))})
    await response.prepare(request)
    await response.write(text[: len(text) // 2].encode())
    if request.transport is not None:
        request.transport.close()
    return response


def _signature(state: State, day: str, expires: int) -> str:
    return hmac.new(state.settings.live.auth_token.encode(), f"{day} {expires}".encode(), sha256).hexdigest()

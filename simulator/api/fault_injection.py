"""Apply a fault to an API request, before or after the request is processed."""

import asyncio
import socket
import struct
import time

from aiohttp import web

from simulator.api.request import ApiRequest, is_disconnected
from simulator.error_codes import ApiError
from simulator.faults.model import FaultRule

_DISCONNECT_CHECK_SECONDS = 0.1
_HTML_PAGE = (
    "<!doctype html><html><head><title>Please wait</title></head><body><h1>Checking your network</h1></body></html>"
)


async def fault_before(request: ApiRequest, fault: FaultRule) -> web.Response | None:
    """The response that replaces processing the request, or None to process it first."""
    match fault.kind:
        case "429":
            headers = {"Retry-After": f"{fault.retry_after:g}"} if fault.retry_after else None
            return web.json_response(ApiError(20429, 429).body(), status=429, headers=headers)
        case "401":
            return web.json_response(ApiError(20003, 401).body(), status=401)
        case "500_before":
            return web.json_response(ApiError(20500, 500).body(), status=500)
        case "html_200":
            return web.Response(text=_HTML_PAGE, content_type="text/html")
        case "timeout_before":
            return await _hang(request, fault)
        case "reset_before":
            return _reset(request)
        case "reject" if fault.code is not None and fault.code < 30000:
            raise ApiError(fault.code)
        case _:
            return None


async def fault_after(request: ApiRequest, fault: FaultRule, response: web.Response) -> web.Response:
    match fault.kind:
        case "500_after":
            return web.json_response(ApiError(20500, 500).body(), status=500)
        case "timeout_after":
            return await _hang(request, fault)
        case "reset_after":
            return _reset(request)
        case "half_json" if response.text:
            return web.Response(
                text=response.text[: len(response.text) // 2], status=response.status, content_type="application/json"
            )
        case _:
            return response


async def _hang(request: ApiRequest, fault: FaultRule) -> web.Response:
    """Wait until the time is up or the client disconnects, then drop the connection without a response."""
    deadline = time.monotonic() + fault.seconds
    while time.monotonic() < deadline and not is_disconnected(request.web):
        await asyncio.sleep(min(_DISCONNECT_CHECK_SECONDS, fault.seconds))
    return _reset(request)


def _reset(request: ApiRequest) -> web.Response:
    """Drop the connection with a TCP reset. The returned response is never sent."""
    transport = request.web.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response(status=500)

"""The door of the API: who calls, what is logged, and what goes wrong on purpose before and after the real work."""

import asyncio
import base64
import binascii
import hmac
import secrets
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate

from aiohttp import web

from simulator.calls import Call
from simulator.carrier import now_ms
from simulator.codes import ApiError
from simulator.faults import Rule
from simulator.settings import Credentials
from simulator.world import WORLD, World

_LOOK_SECONDS = 0.1
_HTML = "<!doctype html><html><head><title>Please wait</title></head><body><h1>Checking your network</h1></body></html>"


@dataclass
class Request:
    """One API call on its way through: who made it, with which form, and the fault that will strike it, if any."""

    web: web.Request
    world: World
    form: Mapping[str, str]
    call: Call
    fault: Rule | None = None

    @property
    def is_test(self) -> bool:
        return self.call.account_sid == self.world.settings.test.account_sid


ApiHandler = Callable[[Request], Awaitable[web.Response]]


def api_handler(kind: str, handler: ApiHandler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        started, world = time.monotonic(), request.app[WORLD]
        # Twilio's form fields are single; the first value counts.
        form = {name: str(value) for name, value in reversed(list((await request.post()).items()))}
        call = _open_call(request, world, kind, form)
        world.open_requests += 1
        try:
            response = await _answer(Request(request, world, form, call), handler)
        finally:
            world.open_requests -= 1
            world.store.close_call(call)
        response.headers["Date"] = formatdate(time.time() + world.faults.clock_skew_seconds, usegmt=True)
        response.headers["Twilio-Request-Duration"] = f"{time.monotonic() - started:.3f}"
        response.headers["Twilio-Concurrent-Requests"] = str(world.open_requests + 1)
        response.headers["Twilio-Request-Id"] = "RQ" + secrets.token_hex(16)
        return response

    return handle


def _open_call(request: web.Request, world: World, kind: str, form: Mapping[str, str]) -> Call:
    call = Call(
        n=0,
        at_ms=now_ms(),
        method=request.method,
        path=request.path,
        kind=kind,
        account_sid=_basic_auth(request)[0] or None,
        to=form.get("To") or request.query.get("To"),
        sender=form.get("From") or request.query.get("From"),
        body=form.get("Body"),
        sid=request.match_info.get("sid"),
    )
    world.store.open_call(call)
    return call


async def _answer(request: Request, handler: ApiHandler) -> web.Response:
    try:
        response = await _work(request, handler)
    except ApiError as error:
        request.call.outcome = str(error.code)
        response = web.json_response(error.body(), status=error.status)
    if not _is_gone(request.web):
        request.call.status = response.status
    return response


async def _work(request: Request, handler: ApiHandler) -> web.Response:
    """Half of the latency lies before the work and half after it, so a client may give up on either side."""
    faults = request.world.faults
    _check_concurrency(request)
    half_seconds = faults.latency_seconds() / 2
    await asyncio.sleep(half_seconds)
    _authenticate(request)
    request.fault = faults.strike(request.call.kind, request.call.to)
    if request.fault is not None:
        request.call.outcome = f"fault:{request.fault.kind}"
        early = await _fault_before(request, request.fault)
        if early is not None:
            return early
    response = await handler(request)
    if request.fault is None:
        request.call.outcome = "accepted" if request.call.accepted else "ok"
    await asyncio.sleep(half_seconds)
    return response if request.fault is None else await _fault_after(request, request.fault, response)


def _check_concurrency(request: Request) -> None:
    limit = request.world.faults.concurrency
    if limit is not None and request.world.open_requests > limit:
        raise ApiError(20429, 429)


# Who calls


def _basic_auth(request: web.Request) -> tuple[str, str]:
    scheme, _, coded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, _, password = base64.b64decode(coded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return name, password


def _authenticate(request: Request) -> None:
    """The account in the path must be the one that signs in: test credentials see nothing of the live account."""
    name, password = _basic_auth(request.web)
    settings = request.world.settings
    known = any(_is(credentials, name, password) for credentials in (settings.live, settings.test, settings.key))
    account_sid = settings.live.account_sid if name == settings.key.account_sid else name
    if not known or request.web.match_info.get("account_sid", account_sid) != account_sid:
        raise ApiError(20003, 401, detail="Your AccountSid or AuthToken was incorrect.")
    if name == settings.key.account_sid and request.call.kind == "account":
        raise ApiError(20003, 401, detail="A standard key may not read the account.")
    request.call.account_sid = account_sid
    if request.is_test and request.call.kind != "create":
        raise ApiError(20008, 403)


def _is(credentials: Credentials, name: str, password: str) -> bool:
    return name == credentials.account_sid and hmac.compare_digest(password.encode(), credentials.auth_token.encode())


# What goes wrong


async def _fault_before(request: Request, fault: Rule) -> web.Response | None:
    """An answer instead of the work, or None when the work is to be done first."""
    match fault.kind:
        case "429":
            headers = {"Retry-After": f"{fault.retry_after:g}"} if fault.retry_after else None
            return web.json_response(ApiError(20429, 429).body(), status=429, headers=headers)
        case "401":
            return web.json_response(ApiError(20003, 401).body(), status=401)
        case "500_before":
            return _server_error()
        case "html_200":
            return web.Response(text=_HTML, content_type="text/html")
        case "timeout_before":
            return await _hang(request, fault)
        case "reset_before":
            return _reset(request)
        case "reject" if fault.code is not None and fault.code < 30000:
            raise ApiError(fault.code)
        case _:
            return None


async def _fault_after(request: Request, fault: Rule, response: web.Response) -> web.Response:
    match fault.kind:
        case "500_after":
            return _server_error()
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


def _server_error() -> web.Response:
    body = {"code": 20500, "message": "An internal server error has occurred", "more_info": "", "status": 500}
    return web.json_response(body, status=500)


async def _hang(request: Request, fault: Rule) -> web.Response:
    """Until the time is up or the client gives up, then the connection is cut without an answer."""
    until = time.monotonic() + fault.seconds
    while time.monotonic() < until and not _is_gone(request.web):
        await asyncio.sleep(min(_LOOK_SECONDS, fault.seconds))
    return _reset(request)


def _reset(request: Request) -> web.Response:
    """Drops the connection with a TCP reset; the response returned here goes nowhere."""
    transport = request.web.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response(status=500)


def _is_gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()

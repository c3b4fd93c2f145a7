"""Wrap every API handler: log the request, limit concurrency, add latency, authenticate and inject faults."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate

from aiohttp import web

from simulator.api.basic_auth import authenticate, basic_auth
from simulator.api.fault_injection import fault_after, fault_before
from simulator.api.request import ApiHandler, ApiRequest, is_disconnected
from simulator.current_time import now_ms
from simulator.error_codes import ApiError
from simulator.state import STATE, State
from simulator.storage.request_log import LogEntry


def api_handler(kind: str, handler: ApiHandler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        started, state = time.monotonic(), request.app[STATE]
        # If a form field is repeated, its first value counts.
        form = {name: str(value) for name, value in reversed(list((await request.post()).items()))}
        log_entry = _open_log_entry(request, state, kind, form)
        state.open_requests += 1
        try:
            response = await _respond(ApiRequest(request, state, form, log_entry), handler)
        finally:
            state.open_requests -= 1
            state.store.close_log_entry(log_entry)
        response.headers["Date"] = formatdate(time.time() + state.faults.clock_skew_seconds, usegmt=True)
        response.headers["Twilio-Request-Duration"] = f"{time.monotonic() - started:.3f}"
        response.headers["Twilio-Concurrent-Requests"] = str(state.open_requests + 1)
        response.headers["Twilio-Request-Id"] = "RQ" + secrets.token_hex(16)
        return response

    return handle


def _open_log_entry(request: web.Request, state: State, kind: str, form: Mapping[str, str]) -> LogEntry:
    entry = LogEntry(
        n=0,
        at_ms=now_ms(),
        method=request.method,
        path=request.path,
        kind=kind,
        account_sid=basic_auth(request)[0] or None,
        to_number=form.get("To") or request.query.get("To"),
        from_number=form.get("From") or request.query.get("From"),
        body=form.get("Body"),
        sid=request.match_info.get("sid"),
    )
    state.store.open_log_entry(entry)
    return entry


async def _respond(request: ApiRequest, handler: ApiHandler) -> web.Response:
    try:
        response = await _process(request, handler)
    except ApiError as error:
        request.log_entry.outcome = str(error.code)
        response = web.json_response(error.body(), status=error.status)
    if not is_disconnected(request.web):
        request.log_entry.status = response.status
    return response


async def _process(request: ApiRequest, handler: ApiHandler) -> web.Response:
    """Half of the latency passes before the handler runs and half after it.

    A client that gives up may therefore do so before or after its text is accepted.
    """
    faults = request.state.faults
    if faults.concurrency is not None and request.state.open_requests > faults.concurrency:
        raise ApiError(20429, 429)
    half_seconds = faults.latency_seconds() / 2
    await asyncio.sleep(half_seconds)
    authenticate(request)
    request.fault = faults.next_api_fault(request.log_entry.kind, request.log_entry.to_number)
    if request.fault is not None:
        request.log_entry.outcome = f"fault:{request.fault.kind}"
        replacement = await fault_before(request, request.fault)
        if replacement is not None:
            return replacement
    response = await handler(request)
    if request.fault is None:
        request.log_entry.outcome = "accepted" if request.log_entry.accepted else "ok"
    await asyncio.sleep(half_seconds)
    return response if request.fault is None else await fault_after(request, request.fault, response)

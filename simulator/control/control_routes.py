"""The routes of the control API. An invalid request gets status 400 with the reason."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from simulator.control.deactivation_controls import set_deactivations
from simulator.control.emails import list_emails
from simulator.control.fault_controls import clear_faults, set_faults, show_faults
from simulator.control.input import BadRequest
from simulator.control.messages import list_messages, receive_inbound, reset, seed_messages, show_log
from simulator.faults.fields import FaultError

Handler = Callable[[web.Request], Awaitable[web.Response]]

_ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "faults", show_faults),
    ("PUT", "faults", set_faults),
    ("DELETE", "faults", clear_faults),
    ("PUT", "deactivations", set_deactivations),
    ("GET", "log", show_log),
    ("GET", "messages", list_messages),
    ("GET", "mail", list_emails),
    ("POST", "inbound", receive_inbound),
    ("POST", "reset", reset),
    ("POST", "seed", seed_messages),
]


def add_routes(app: web.Application) -> None:
    for method, name, handler in _ROUTES:
        app.router.add_route(method, f"/simulator/{name}", _with_json_errors(handler))


def _with_json_errors(handler: Handler) -> Handler:
    async def handle(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except (BadRequest, FaultError) as error:
            return web.json_response({"error": str(error)}, status=400)

    return handle

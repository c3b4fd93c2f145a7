"""Start and stop the HTTP server and the SMTP server on one event loop."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from aiohttp import web

from simulator.api import api_routes
from simulator.control import control_routes
from simulator.email.smtp_server import start_smtp_server
from simulator.pages import page_routes
from simulator.security import security_middleware
from simulator.settings import SimulatorSettings
from simulator.state import STATE, State
from simulator.storage.store import Store

HOST = "127.0.0.1"
_SHUTDOWN_SECONDS = 0.3  # after this, open requests are cut off, including those that a fault holds open
_MAX_REQUEST_BYTES = 4 * 1024 * 1024


class PortInUse(Exception):
    """A port cannot be opened; the message names the port and the option that changes it."""


async def run(settings: SimulatorSettings) -> None:
    async with serving(settings):
        print(f"Simulator ready on http://{HOST}:{settings.port}", flush=True)
        await _stop_signal()


@asynccontextmanager
async def serving(settings: SimulatorSettings) -> AsyncIterator[State]:
    """Raises `PortInUse`."""
    state = State(settings, Store(settings.data))
    runner = web.AppRunner(build_app(state), access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
    smtp_server: asyncio.Server | None = None
    try:
        await runner.setup()
        with _port_errors(settings.port, "--port"):
            await web.TCPSite(runner, HOST, settings.port, backlog=1024).start()
        with _port_errors(settings.smtp_port, "--smtp-port"):
            smtp_server = await start_smtp_server(state, settings.smtp_port)
        yield state
    finally:
        if smtp_server is not None:
            smtp_server.close()
        await runner.cleanup()
        await state.close()


def build_app(state: State) -> web.Application:
    app = web.Application(middlewares=[security_middleware], client_max_size=_MAX_REQUEST_BYTES)
    app[STATE] = state
    api_routes.add_routes(app)
    control_routes.add_routes(app)
    page_routes.add_routes(app)
    return app


@contextmanager
def _port_errors(port: int, option: str) -> Iterator[None]:
    """Raises `PortInUse` for an `OSError`."""
    try:
        yield
    except OSError as error:
        reason = f"Cannot listen on port {port} of {HOST} ({error.strerror})."
        raise PortInUse(f"{reason} Stop the program that uses it, or choose another {option}.") from None


async def _stop_signal() -> None:
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, stopped.set)
    await stopped.wait()

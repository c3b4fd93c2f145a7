"""Starting and stopping: one event loop with an HTTP server and an SMTP server."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from simulator import control
from simulator.api import routes
from simulator.pages import routes as page_routes
from simulator.safety import guard
from simulator.settings import Settings
from simulator.smtp import serve_smtp
from simulator.store import Store
from simulator.world import WORLD, World, open_world

HOST = "127.0.0.1"
_SHUTDOWN_SECONDS = 0.3  # open requests, hanging ones too, are then cut off
_LARGEST_REQUEST = 4 * 1024 * 1024


class PortBusy(Exception):
    """Somebody else listens there."""


async def run(settings: Settings) -> None:
    async with serving(settings):
        print(f"Simulator ready on http://{HOST}:{settings.port}", flush=True)
        await _stop_signal()


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[World]:
    """Raises `PortBusy`."""
    world = open_world(settings, Store(settings.data))
    runner = web.AppRunner(build_app(world), access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
    mail_server: asyncio.Server | None = None
    try:
        await runner.setup()
        await _listen(runner, settings.port)
        mail_server = await _listen_for_mail(world, settings.smtp_port)
        yield world
    finally:
        if mail_server is not None:
            mail_server.close()
        await runner.cleanup()
        await world.close()


def build_app(world: World) -> web.Application:
    app = web.Application(middlewares=[guard], client_max_size=_LARGEST_REQUEST)
    app[WORLD] = world
    routes.add_routes(app)
    control.add_routes(app)
    page_routes.add_routes(app)
    return app


async def _listen(runner: web.AppRunner, port: int) -> None:
    try:
        await web.TCPSite(runner, HOST, port, backlog=1024).start()
    except OSError as error:
        raise PortBusy(_busy(port, "--port", error)) from None


async def _listen_for_mail(world: World, port: int) -> asyncio.Server:
    try:
        return await serve_smtp(world, port)
    except OSError as error:
        raise PortBusy(_busy(port, "--smtp-port", error)) from None


def _busy(port: int, option: str, error: OSError) -> str:
    return (
        f"Port {port} on {HOST} cannot be used ({error.strerror}): stop what listens there, or choose another {option}."
    )


async def _stop_signal() -> None:
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, stopped.set)
    await stopped.wait()

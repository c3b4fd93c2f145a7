"""The `portal` command, which also starts every process of the product."""

import os
import runpy
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import click

from portal.core.config import ConfigError, Settings, load_settings
from portal.gateways.queue import QUEUES
from portal.processes import StartupError, sqlite_host_lock

_ROOT = Path(__file__).resolve().parents[2]
_COMMANDS = {
    "accounts": "account_commands:group",
    "attributes": "attribute_commands:group",
    "audit": "audit_commands:group",
    "config": "config_commands:group",
    "consent": "consent_commands:group",
    "db": "db_commands:group",
    "demo": "demo_commands:group",
    "doctor": "doctor_commands:doctor",
    "keys": "key_commands:group",
    "registration": "registration_commands:group",
    "schedules": "schedule_commands:group",
    "sends": "send_commands:group",
    "setup": "setup_commands:group",
    "templates": "template_commands:group",
    "verify": "verify_command:verify",
}
"""Module and attribute in portal.cli. Only the command in use is imported, because imports take most of the start."""


class LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*_COMMANDS, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f"portal.cli.{module}"), attribute)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def portal() -> None:
    """Send notifications by email, and by text to people who asked for texts."""


@portal.command()
@click.option(
    "--demo", is_flag=True, help="Add demo data, simulated phones and a mailbox. Nothing leaves this machine."
)
@click.option("--simulator", is_flag=True, help="Like --demo, but without data: set the portal up to try it.")
@click.option("--port", type=int, default=8000, show_default=True)
@click.option("--simulator-port", type=int, help="By default, --port plus 1.")
@click.option("--smtp-port", type=int, help="By default, --port plus 2.")
def up(demo: bool, simulator: bool, port: int, simulator_port: int | None, smtp_port: int | None) -> None:
    """Start everything on this machine. Ctrl-C stops it and keeps the data.

    Until there is a system administrator, it prints a link that makes one.
    """
    from portal.cli import preload
    from portal.processes.up import Ports, run_up

    # the system libraries of macOS do not survive a fork without exec
    prepare = preload.prepare if sys.platform == "linux" else None
    ports = Ports(port, simulator_port or port + 1, smtp_port or port + 2)
    sys.exit(run_up(os.environ, ports, demo=demo, simulator=simulator, prepare=prepare))


@portal.command()
@click.option("--port", type=int, default=8000, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="In a container behind a proxy, use 0.0.0.0.")
@click.option("--processes", type=int, default=2, show_default=True)
@click.option("--threads", type=int, default=24, show_default=True)
def web(port: int, host: str, processes: int, threads: int) -> None:
    """Run the web server. It has no TLS, so put a proxy in front of it."""
    _run_with_settings(lambda settings: _prepare_web(settings, host))
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    _run_module(
        *("gunicorn", "jobs.app:app()", "--bind", address, "--chdir", str(_ROOT)),
        *("--worker-class", "portal.processes.buffering_worker.BufferingWorker"),
        *("--config", "python:portal.processes.gunicorn_hooks", "--log-level", "warning", "--no-control-socket"),
        *("--workers", str(processes), "--threads", str(threads), "--timeout", "60", "--graceful-timeout", "10"),
        "--forwarded-allow-ips=",  # of what proxies send, trust only the caller's address (PORTAL_TRUSTED_PROXIES)
    )


def _prepare_web(settings: Settings, host: str) -> int:
    """Beyond loopback, require trusted proxies, because throttling and the ledger need the callers' addresses."""
    from portal.cli import db_commands

    sqlite_host_lock.ensure_single_host(settings.database_url)
    if host not in ("127.0.0.1", "::1", "localhost") and not settings.trusted_proxies:
        raise StartupError(
            f"portal web --host {host} is open to other machines: put a proxy with TLS in front of it, let nobody else "
            "reach it, and set PORTAL_TRUSTED_PROXIES to the number of proxies, for example 1."
        )
    db_commands.wait_for_schema(settings)
    return 0


@portal.command()
@click.argument("queue", type=click.Choice(QUEUES))
def worker(queue: str) -> None:
    """Run a worker for one queue."""
    from jobs.worker import run_worker

    sys.exit(_run_with_settings(_with_host_lock(lambda: run_worker(queue))))


@portal.command()
def scheduler() -> None:
    """Run the scheduler. It wakes workers for overdue work, resolves unknown outcomes and polls Twilio."""
    from jobs.scheduler import run_scheduler

    sys.exit(_run_with_settings(_with_host_lock(run_scheduler)))


@portal.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def simulator(arguments: tuple[str, ...]) -> None:
    """Run the simulator. It stands in for Twilio and the mail server in demos and tests."""
    _run_module("simulator", *arguments)


def _run_module(module: str, *arguments: str) -> None:
    """Run `python -m module` in place of this process, or within it if `portal up` has imported the module already."""
    if module not in sys.modules:
        os.execv(sys.executable, [sys.executable, "-m", module, *arguments])
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _with_host_lock(process: Callable[[], int]) -> Callable[[Settings], int]:
    """Hold the host lock of a SQLite database and wait for the tables, then run the process."""

    def run(settings: Settings) -> int:
        from portal.cli import db_commands

        sqlite_host_lock.hold_host_lock(settings.database_url, lambda: os.kill(os.getpid(), signal.SIGTERM))
        db_commands.wait_for_schema(settings)
        return process()

    return run


def _run_with_settings(process: Callable[[Settings], int]) -> int:
    try:
        return process(load_settings())
    except (ConfigError, StartupError) as error:
        click.echo(str(error), err=True)
        sys.exit(1)


def main() -> None:
    """Set a umask that keeps files private, because the database holds phone numbers."""
    os.umask(0o077)
    portal(prog_name="portal")

"""The `portal` command: a front door like the pages, and the way every process of the product is started."""

import os
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
    "config": "config_commands:group",
    "consent": "consent_commands:group",
    "db": "db_commands:group",
    "demo": "demo_commands:group",
    "doctor": "doctor_commands:doctor",
    "keys": "key_commands:group",
    "sends": "send_commands:group",
    "templates": "template_commands:group",
}
"""Where in portal.cli each is found. Only the one that was asked for is imported: that is most of a start."""


class LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*_COMMANDS, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, _, name = _COMMANDS[cmd_name].partition(":")
        found: click.Command = getattr(import_module(f"portal.cli.{module}"), name)
        return found


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def portal() -> None:
    """Notifications by email, and by text for those who asked for it."""


@portal.command()
@click.option(
    "--demo", is_flag=True, help="With demo data, handsets on screen and a mailbox: nothing leaves this machine."
)
@click.option("--port", type=int, default=8000, show_default=True)
@click.option("--simulator-port", type=int, help="By default the port after the portal's.")
@click.option("--smtp-port", type=int, help="By default the one after that.")
def up(demo: bool, port: int, simulator_port: int | None, smtp_port: int | None) -> None:
    """Start everything on this machine; Ctrl-C stops it and keeps the data."""
    from portal.processes.up import run_up

    sys.exit(run_up(os.environ, port=port, demo=demo, simulator_port=simulator_port, smtp_port=smtp_port))


@portal.command()
@click.option("--port", type=int, default=8000, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="In a container: 0.0.0.0, behind a proxy.")
@click.option("--processes", type=int, default=2, show_default=True)
@click.option("--threads", type=int, default=24, show_default=True)
def web(port: int, host: str, processes: int, threads: int) -> None:
    """The web server, on loopback unless told otherwise: put a proxy with TLS before it."""
    _run_with_settings(lambda found: _check_bind_address(found, host))
    command = [sys.executable, "-m", "gunicorn", "portal:create_app()", "--bind", f"{_bracket_ipv6(host)}:{port}"]
    command += [
        "--worker-class",
        "portal.processes.buffering_worker.BufferingWorker",
        "--workers",
        str(processes),
        "--threads",
        str(threads),
    ]
    command += [
        "--config",
        "python:portal.processes.gunicorn_hooks",
        "--timeout",
        "60",
        "--graceful-timeout",
        "10",
        "--log-level",
        "warning",
        "--no-control-socket",
        # Of what a proxy says, only the caller's address is believed, by PORTAL_TRUSTED_PROXIES.
        "--forwarded-allow-ips=",
        "--chdir",
        str(_ROOT),
    ]
    os.execv(sys.executable, command)


def _bracket_ipv6(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _check_bind_address(found: Settings, host: str) -> int:
    """Beyond loopback only behind a proxy that is named: callers' addresses are what limits and the ledger go by."""
    from portal.cli import db_commands

    sqlite_host_lock.ensure_single_host(found.database_url)
    if host not in ("127.0.0.1", "::1", "localhost") and not found.trusted_proxies:
        raise StartupError(
            f"portal web --host {host} listens to other machines: put a proxy with TLS before it, let nobody else "
            "reach it, and set PORTAL_TRUSTED_PROXIES to how many proxies stand before it, for example 1."
        )
    db_commands.wait_for_schema(found)
    return 0


@portal.command()
@click.argument("queue", type=click.Choice(QUEUES))
def worker(queue: str) -> None:
    """A worker for one queue."""
    from jobs.worker import main as work

    sys.exit(_run_with_settings(_with_host_lock(lambda: work(queue))))


@portal.command()
def scheduler() -> None:
    """All that recurs: rings for what was left behind, settles what is in doubt."""
    from jobs.scheduler import run_scheduler

    sys.exit(_run_with_settings(_with_host_lock(run_scheduler)))


@portal.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def simulator(arguments: tuple[str, ...]) -> None:
    """Twilio and a mailbox on this machine, for demo and tests."""
    os.execv(sys.executable, [sys.executable, "-m", "simulator", *arguments])


def _with_host_lock(process: Callable[[], int]) -> Callable[[Settings], int]:
    """With the sign of life that keeps other hosts from a SQLite database, once the tables are there."""

    def kept(found: Settings) -> int:
        from portal.cli import db_commands

        sqlite_host_lock.hold_host_lock(found.database_url, lambda: os.kill(os.getpid(), signal.SIGTERM))
        db_commands.wait_for_schema(found)
        return process()

    return kept


def _run_with_settings(process: Callable[[Settings], int]) -> int:
    try:
        return process(load_settings())
    except (ConfigError, StartupError) as error:
        click.echo(str(error), err=True)
        sys.exit(1)


def main() -> None:
    """What we write is for our own user: the database holds phone numbers."""
    os.umask(0o077)
    portal(prog_name="portal")

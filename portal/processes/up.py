"""`portal up`: the whole product on one machine, from an empty folder to a running website."""

import http.client
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import redis

from portal.core.config import ConfigError, instance_folder, is_production, load_settings, redis_socket
from portal.core.environment.secret_files import find_secret_file
from portal.core.rules.connection_errors import explain_redis_error
from portal.processes import StartupError, embedded_valkey, preflight, sqlite_host_lock
from portal.processes.console import Console
from portal.processes.preflight import Port
from portal.processes.program import Program
from portal.processes.supervisor import ShutdownRequested, Supervisor

QUEUES = ("sms", "email", "work")
_VALKEY_READY_SECONDS = 60.0  # reading a long append-only file takes a while
_SIMULATED_TWILIO = (
    "Twilio        account AC00000000000000000000000000000001, auth token simulator-live-token",
    "              number +12025550100",
)
"""What to enter for the simulator; a test compares it with the simulator."""
_READY_SECONDS = 120.0
"""On a busy or slow machine, the first start may take a minute."""


@dataclass(frozen=True)
class Ports:
    web: int
    simulator: int
    smtp: int


@dataclass(frozen=True)
class LaunchPlan:
    instance: Path
    port: int
    demo: bool
    with_simulator: bool
    simulator_port: int
    smtp_port: int
    environment: Mapping[str, str]
    portal: Sequence[str]
    """The command that starts every child."""
    prepare: Callable[..., Callable[[], object]] | None
    """Returns a function that runs a command; the children are then forks of this process (ADR 31)."""

    @property
    def uses_embedded_valkey(self) -> bool:
        return not _is_given(self.environment, "PORTAL_REDIS_URL")

    def program(self, name: str, *arguments: str) -> Program:
        if self.prepare is None:
            return Program(name, (*self.portal, *arguments))
        return Program(name, ("portal", *arguments), run=self.prepare(self.environment, *arguments))


def run_up(
    environ: Mapping[str, str],
    ports: Ports,
    *,
    demo: bool,
    simulator: bool = False,
    portal: Sequence[str] = (sys.executable, "-m", "portal"),
    prepare: Callable[..., Callable[[], object]] | None = None,
    grace_seconds: float = 45.0,
) -> int:
    """Run until stopped. Returns 0 after a requested stop, or 1 with a sentence on stderr if it cannot run."""
    plan = _build_plan(environ, ports, demo, simulator, portal, prepare)
    console = Console(sys.stdout)
    try:
        lock = _preflight(plan, console)
        try:
            with Supervisor(plan.environment, grace_seconds, console=console, inherited_fds=(lock,)) as supervisor:
                _run(plan, supervisor)
        finally:
            os.close(lock)
    except ShutdownRequested:
        return 0
    except (StartupError, ConfigError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _build_plan(
    env: Mapping[str, str],
    ports: Ports,
    demo: bool,
    simulator: bool,
    portal: Sequence[str],
    prepare: Callable[..., Callable[[], object]] | None,
) -> LaunchPlan:
    """The mail server of the demo is fixed. Without demo data, it is set in the browser, as everything else is."""
    instance = instance_folder(env)
    defaults = {} if is_production(env) else {"PORTAL_LOCAL_URL": f"http://127.0.0.1:{ports.web}"}
    if demo or simulator:
        defaults["PORTAL_TWILIO_API_URL"] = f"http://127.0.0.1:{ports.simulator}"
    if demo:
        defaults |= {
            "PORTAL_SECOND_FACTOR": "optional",  # for a look around, a password is enough
            "PORTAL_SMTP_URL": f"smtp://127.0.0.1:{ports.smtp}",
            "PORTAL_ORGANISATION": "Northfield Board",
            "PORTAL_MAIL_FROM": "Northfield Board <notifications@example.org>",
        }
    defaults = {name: value for name, value in defaults.items() if not _is_given(env, name)}
    configured = {name: value for name, value in env.items() if value}
    # Children would buffer their output to pipes, and RQ reads cron strings in local time.
    fixed = {"PORTAL_INSTANCE": str(instance), "PYTHONUNBUFFERED": "1", "TZ": "UTC"}
    environment = defaults | configured | fixed
    return LaunchPlan(
        instance, ports.web, demo, demo or simulator, ports.simulator, ports.smtp, environment, portal, prepare
    )


def _is_given(env: Mapping[str, str], variable: str) -> bool:
    return bool(env.get(variable)) or find_secret_file(env, variable) is not None


def _preflight(plan: LaunchPlan, console: Console) -> int:
    """Run all checks before anything starts. Returns the lock's descriptor."""
    preflight.check_machine()
    if plan.demo and is_production(plan.environment):
        raise StartupError("--demo loads fictional people, but PORTAL_ENV is production. Remove one of them.")
    if plan.with_simulator and is_production(plan.environment):
        raise StartupError("--simulator replaces Twilio, but PORTAL_ENV is production. Remove one of them.")
    preflight.check_instance(plan.instance)
    settings = load_settings(plan.environment)
    sqlite_host_lock.ensure_single_host(settings.database_url)
    lock = preflight.lock_instance(plan.instance, console.print_line_raw)
    try:
        ports = [Port(plan.port, "--port")]
        if plan.with_simulator:
            ports += [Port(plan.simulator_port, "--simulator-port"), Port(plan.smtp_port, "--smtp-port")]
        preflight.check_ports(*ports)
        if not plan.uses_embedded_valkey:
            _check_redis(settings.redis_url)
    except BaseException:
        os.close(lock)
        raise
    return lock


def _check_redis(url: str) -> None:
    try:
        embedded_valkey.check_eviction_policy(url)
    except (redis.RedisError, OSError, ValueError) as error:
        cause = explain_redis_error(type(error).__name__, str(error), url.startswith("rediss:"))
        raise StartupError(f"{cause} Or remove PORTAL_REDIS_URL to use the embedded server.") from error


def _run(plan: LaunchPlan, supervisor: Supervisor) -> None:
    if plan.uses_embedded_valkey:
        _start_valkey(plan, supervisor)
    if plan.with_simulator:
        supervisor.start(_simulator_program(plan))
    _run_setup_step(supervisor, plan.program("db upgrade", "db", "upgrade"), "The database could not be upgraded")
    sign_ins: list[str] = []
    if plan.demo:
        demo_load = plan.program("demo load", "demo", "load")
        sign_ins = _run_setup_step(supervisor, demo_load, "The demo data could not be loaded", capture_output=True)
    for program in _programs_to_run(plan):
        supervisor.start(program)
    if not supervisor.wait_for(lambda: _is_ready(plan), _READY_SECONDS):
        raise StartupError(
            f"The portal did not answer at http://127.0.0.1:{plan.port}/healthz within {_READY_SECONDS:g} seconds: "
            "see the output above."
        )
    if not plan.demo:
        link = plan.program("setup link", "setup", "link")
        sign_ins = _run_setup_step(supervisor, link, "The link to begin could not be made", capture_output=True)
    for line in _startup_message(plan, sign_ins):
        supervisor.console.print_line_raw(line)
    supervisor.run()


def _start_valkey(plan: LaunchPlan, supervisor: Supervisor) -> None:
    socket_path = redis_socket(plan.instance)
    program = embedded_valkey.embedded_program(plan.instance)
    embedded_valkey.stop_leftover_server(socket_path)
    supervisor.start(program)
    if not supervisor.wait_for(lambda: embedded_valkey.is_ready(socket_path), _VALKEY_READY_SECONDS):
        raise StartupError(
            f"The embedded Valkey did not start within {_VALKEY_READY_SECONDS:g} seconds: "
            f"see {_relative_path(plan.instance)}valkey/valkey.log."
        )


def _run_setup_step(
    supervisor: Supervisor, program: Program, failure: str, *, capture_output: bool = False
) -> list[str]:
    code, lines = supervisor.run_to_completion(program, capture_output=capture_output)
    if code != 0:
        raise StartupError(f"{failure} (portal {program.name} ended with code {code}): see the output above.")
    return lines


def _programs_to_run(plan: LaunchPlan) -> list[Program]:
    return [
        plan.program("web", "web", "--port", str(plan.port), *(("--processes", "1") if plan.demo else ())),
        # one queue for each process (docs/reliability.md#one-queue-per-worker)
        *(plan.program(queue, "worker", queue) for queue in QUEUES),
        plan.program("scheduler", "scheduler"),
    ]


def _simulator_program(plan: LaunchPlan) -> Program:
    inbound = f"{_address(plan)}/webhooks/twilio/inbound"
    ports = ("--port", str(plan.simulator_port), "--smtp-port", str(plan.smtp_port))
    data = str(plan.instance / "simulator.sqlite")
    return plan.program("simulator", "simulator", *ports, "--data", data, "--inbound-url", inbound)


def _is_ready(plan: LaunchPlan) -> bool:
    return _is_healthy(plan.port) and (not plan.with_simulator or preflight.is_listening(plan.simulator_port))


def _is_healthy(port: int) -> bool:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=2)) as connection:
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False


def _startup_message(plan: LaunchPlan, more: Sequence[str]) -> list[str]:
    """`more` are the demo's accounts, or the link to begin with."""
    lines = ["", f"  The portal    {_address(plan)}"]
    if plan.with_simulator:
        lines.append(f"  Handsets      http://127.0.0.1:{plan.simulator_port}/handsets")
        lines.append(f"  Mailbox       http://127.0.0.1:{plan.simulator_port}/mailbox")
    if plan.with_simulator and not plan.demo:
        lines += [f"  Mail server   127.0.0.1, port {plan.smtp_port}", *map("  {}".format, _SIMULATED_TWILIO)]
    lines += ["", *(f"  {line}" for line in more)] if more else []
    return [*lines, "", f"  Press Ctrl-C to stop. Your data stays in {_relative_path(plan.instance)}", ""]


def _address(plan: LaunchPlan) -> str:
    return (plan.environment.get("PORTAL_PUBLIC_URL") or plan.environment["PORTAL_LOCAL_URL"]).rstrip("/")


def _relative_path(folder: Path) -> str:
    return f"{folder}/".removeprefix(f"{Path.cwd()}/")

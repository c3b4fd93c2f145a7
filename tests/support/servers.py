"""Ports, child processes and the simulator for tests; `wait_for` replaces sleeping."""

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from redis import Redis

from portal.core.config import redis_socket
from portal.processes import embedded_valkey

ROOT = Path(__file__).parents[2]
LIVE_CREDENTIALS = {"AccountSid": "AC00000000000000000000000000000001", "AuthToken": "simulator-live-token"}
TEST_CREDENTIALS = {"AccountSid": "AC00000000000000000000000000000002", "AuthToken": "simulator-test-token"}
FROM_NUMBER = "+12025550100"
VALKEY_OPERATOR = ("--user", "operator", "on", "nopass", "~*", "&*", "+@all")
"""Options of the embedded server: a second user who may do everything, because its own may not even flush."""


def on_ci() -> bool:
    return os.environ.get("CI", "").lower() in ("1", "true")


def free_port() -> int:
    """Below the ports of outgoing connections, of which one could take it before the server starts."""
    while True:
        port = 10_000 + secrets.randbelow(22_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def consecutive_free_ports(count: int) -> int:
    """The first of `count` consecutive free ports, as `portal up --demo` needs them."""
    while True:
        first = free_port()
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError, OverflowError):
            for port in range(first, first + count):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first


def wait_for(condition: Callable[[], Any], description: str, seconds: float = 30.0) -> Any:
    """Return the first true value of `condition`. Raises `AssertionError` after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"gave up after waiting {seconds:g} seconds for {description}")


def get_json(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=300) as response:
        return json.load(response)


def responds_ok(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


@contextlib.contextmanager
def running_process(
    command: list[str], env: dict[str, str] | None = None, folder: Path = ROOT, **options: Any
) -> Iterator[subprocess.Popen[str]]:
    """Run a process in its own session, and kill all of it at the end."""
    process = subprocess.Popen(
        command, cwd=folder, env={**os.environ, **(env or {})}, text=True, start_new_session=True, **options
    )
    try:
        yield process
    finally:
        stop_process(process)


def stop_process(process: subprocess.Popen[str], signum: int = signal.SIGTERM) -> None:
    if process.poll() is None:
        process.send_signal(signum)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)


def portal_command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "portal", *arguments]


class SimulatorClient:
    """A client for the simulator's own HTTP interface."""

    def __init__(self, port: int, smtp_port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.smtp_url = f"smtp://127.0.0.1:{smtp_port}"

    def get(self, path: str) -> Any:
        return get_json(f"{self.url}{path}")

    def call_api(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            f"{self.url}{path}",
            data=json.dumps(body).encode() if body is not None else None,
            method=method,
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=120) as response:
            text = response.read()
        return json.loads(text) if text else None

    def reset(self) -> None:
        self.call_api("POST", "/simulator/reset", {})

    def set_faults(self, **faults: Any) -> None:
        self.call_api("PUT", "/simulator/faults", faults)

    def accepted_texts(self) -> list[dict[str, Any]]:
        """Texts the simulator accepted from the portal, oldest first."""
        messages = self.get("/simulator/messages")["messages"]
        return [text for text in messages if text["direction"] == "outbound-api"]

    def received_emails(self) -> list[dict[str, Any]]:
        return list(self.get("/simulator/mail")["mail"])


@contextlib.contextmanager
def running_simulator(*options: str) -> Iterator[SimulatorClient]:
    port, smtp_port = free_port(), free_port()
    command = [sys.executable, "-m", "simulator", "--port", str(port), "--smtp-port", str(smtp_port), *options]
    with running_process(command, stdout=subprocess.DEVNULL):
        client = SimulatorClient(port, smtp_port)
        wait_for(lambda: responds_ok(f"{client.url}/simulator/faults"), "the simulator to listen")
        yield client


@contextlib.contextmanager
def running_valkey() -> Iterator[str]:
    """The embedded Valkey on a socket of its own; yields the URL that the product uses."""
    with tempfile.TemporaryDirectory(prefix="portal-test-") as folder:
        program = embedded_valkey.embedded_program(Path(folder))
        socket = redis_socket(Path(folder))
        with running_process([*program.command, *VALKEY_OPERATOR]):
            wait_for(lambda: embedded_valkey.is_ready(socket), "Valkey to answer")
            yield f"unix://{socket}"


@contextlib.contextmanager
def opened_valkey(instance: Path) -> Iterator[Redis]:
    """What the embedded server of a portal that has stopped left behind, for a client that may list and read all."""
    program = embedded_valkey.embedded_program(instance)
    socket = redis_socket(instance)
    with running_process([*program.command, *VALKEY_OPERATOR], stdout=subprocess.DEVNULL):
        wait_for(lambda: embedded_valkey.is_ready(socket), "Valkey to answer")
        with Redis(unix_socket_path=str(socket), username="operator", password="none") as client:
            yield client


def flush_valkey(redis_url: str) -> None:
    """Empty `running_valkey`, which the product itself may not do."""
    with _operator(redis_url) as operator:
        operator.flushdb()


def refused_by_valkey(redis_url: str) -> list[str]:
    """The commands, keys and channels that `running_valkey` has refused to the product for its lack of rights."""
    with _operator(redis_url) as operator:
        return sorted({f"{entry['reason']}: {entry['object']}" for entry in operator.acl_log()})


def _operator(redis_url: str) -> Redis:
    return Redis.from_url(f"{redis_url.replace('unix://', 'unix://operator@')}?password=none", decode_responses=True)

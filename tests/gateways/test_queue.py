"""The queue is unavailable unless Redis accepts writes, and the cause is explained. Runs against a real server."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from structlog.testing import capture_logs

from portal.core.config import redis_socket
from portal.gateways import queue
from portal.processes import embedded_valkey
from portal.processes.redis_rights import REDIS_RIGHTS
from tests.support import servers


class Server:
    """A Valkey server on a loopback port."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, servers.free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        options = ("--port", str(self.port), "--bind", "127.0.0.1", "--enable-protected-configs", "yes")
        program = embedded_valkey.embedded_program(folder)
        self.process = subprocess.Popen([*program.command, *options, *servers.VALKEY_OPERATOR])
        socket = redis_socket(folder)
        servers.wait_for(lambda: embedded_valkey.is_ready(socket), "Valkey to answer")
        self.client = redis.Redis(unix_socket_path=str(socket), username="operator", password="none")

    def execute(self, *arguments: str) -> None:
        self.client.execute_command(*arguments)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        self.process.kill()
        self.process.wait(30)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("queue"))
    yield running
    running.close()


QueueFault = Callable[[Server], contextlib.AbstractContextManager[str]]


def while_configured(begin: tuple[str, ...], end: tuple[str, ...]) -> QueueFault:
    """A fault that lasts between two commands; yields the server's URL."""

    @contextlib.contextmanager
    def broken(server: Server) -> Iterator[str]:
        server.execute(*begin)
        try:
            yield server.url
        finally:
            server.execute(*end)

    return broken


def as_user(user: str, *rules: str) -> QueueFault:
    """Connects as `user`, where the existing user has these ACL rules and the password "right"."""

    @contextlib.contextmanager
    def broken(server: Server) -> Iterator[str]:
        server.execute("ACL", "SETUSER", "portal", "reset", "on", ">right", *rules)
        yield server.url.replace("//", f"//{user}@")

    return broken


@contextlib.contextmanager
def with_failing_snapshots(server: Server) -> Iterator[str]:
    """Snapshots fail, as on a full disk."""
    data, missing = server.folder / "valkey", server.folder / "missing"
    missing.mkdir()
    server.execute("CONFIG", "SET", "dir", str(missing))
    missing.rmdir()
    try:
        server.execute("CONFIG", "SET", "save", "1 1")
        server.client.set("changed", 1)
        servers.wait_for(lambda: server.client.info()["rdb_last_bgsave_status"] == "err", "the snapshot to fail")
        yield server.url
    finally:
        server.execute("CONFIG", "SET", "dir", str(data), "save", "")


@contextlib.contextmanager
def frozen(server: Server) -> Iterator[str]:
    server.process.send_signal(signal.SIGSTOP)
    try:
        yield server.url
    finally:
        server.process.send_signal(signal.SIGCONT)


def at_url(url: str) -> QueueFault:
    return lambda server: contextlib.nullcontext(url.format(port=server.port))


_ANSWERS_PING: dict[str, tuple[QueueFault, str]] = {
    "full": (
        while_configured(("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "256mb")),
        "Redis is full",
    ),
    "read-only": (while_configured(("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")), "read-only replica"),
    "few replicas": (
        while_configured(
            ("CONFIG", "SET", "min-replicas-to-write", "1"), ("CONFIG", "SET", "min-replicas-to-write", "0")
        ),
        "fewer replicas",
    ),
    "no writes allowed": (as_user("portal:right", "~*", "&*", "+@all", "-@write"), "may not do what the queue needs"),
    "no lists allowed": (as_user("portal:right", "~*", "&*", "+@all", "-@list"), "may not do what the queue needs"),
    "other keys only": (as_user("portal:right", "~portal:*", "&*", "+@all"), "may not do what the queue needs"),
}
_REFUSES_PING: dict[str, tuple[QueueFault, str]] = {
    "no disk": (with_failing_snapshots, "cannot write to its own disk"),
    "wrong password": (as_user("portal:wrong", "~*", "+@all"), "refuses the user or password"),
    "no such user": (as_user("nobody:right", "~*", "+@all"), "refuses the user or password"),
    "password missing": (
        while_configured(("CONFIG", "SET", "requirepass", "s3cret"), ("CONFIG", "SET", "requirepass", "")),
        "requires a password",
    ),
    "no such database": (at_url("redis://127.0.0.1:{port}/99"), "does not have the database"),
    "no TLS there": (at_url("rediss://127.0.0.1:{port}/0"), "TLS handshake with Redis failed"),
    "nothing listens": (at_url("redis://:s3cret@127.0.0.1:1/0"), "Nothing is listening"),
    "no socket": (at_url("unix:///nowhere/valkey.sock"), "socket in PORTAL_REDIS_URL does not exist"),
    "no such host": (at_url("redis://:s3cret@nowhere.invalid:6379/0"), "host in PORTAL_REDIS_URL is unknown"),
    "frozen": (frozen, "did not answer in time"),
}  # fmt: skip
_BROKEN = _ANSWERS_PING | _REFUSES_PING


@pytest.mark.parametrize("kind", _BROKEN)
def test_queue_is_unavailable_while_redis_refuses_writes(server: Server, kind: str) -> None:
    broken, message = _BROKEN[kind]
    with broken(server) as url:
        if kind in _ANSWERS_PING:
            assert redis.Redis.from_url(url).ping()
        problem = queue.queue_problem_now(url)
        assert problem is not None
        assert message in problem.reason
        assert problem.fix
        assert "s3cret" not in str(problem)
        if kind not in ("frozen", "no TLS there"):
            assert not queue.enqueue(url, "fan_out_send", time.time_ns())
    servers.wait_for(lambda: queue.queue_problem_now(server.url) is None, "the queue to take work again")
    assert queue.enqueue(server.url, "fan_out_send", time.time_ns())
    assert not server.client.keys("*probe*"), "the probe leaves nothing behind"


def test_documented_permissions_are_enough(server: Server) -> None:
    with as_user("portal:right", *REDIS_RIGHTS)(server) as url:
        assert queue.queue_problem_now(url) is None
        assert queue.enqueue(url, "apply_send_control", 7)
        queue.store_value(url, "restore_guard", 5)
        assert queue.load_value(url, "restore_guard") == 5


def test_eviction_policy_is_read(server: Server) -> None:
    assert queue.eviction_policy(server.url) == "noeviction"
    with while_configured(
        ("CONFIG", "SET", "maxmemory-policy", "allkeys-lru"), ("CONFIG", "SET", "maxmemory-policy", "noeviction")
    )(server) as url:
        assert queue.eviction_policy(url) == "allkeys-lru"
    assert queue.eviction_policy("redis://127.0.0.1:1/0") is None


def test_server_that_is_not_redis_is_detected(simulator_process: servers.SimulatorClient) -> None:
    problem = queue.queue_problem_now(simulator_process.url.replace("http", "redis"))
    assert problem is not None
    assert "not Redis" in problem.reason or "closed the connection" in problem.reason


def test_queue_outage_is_logged_once_at_each_end(server: Server) -> None:
    server.execute("FLUSHALL")
    queue.enqueue(server.url, "drain_email")
    with capture_logs() as lines:
        server.execute("CONFIG", "SET", "maxmemory", "1")
        for _ in range(5):
            queue.enqueue(server.url, "fan_out_send", 1)
            queue.enqueue(server.url, "drain_email")
            queue.store_value(server.url, "restore_guard", 1)
        server.execute("CONFIG", "SET", "maxmemory", "256mb")
        for _ in range(5):
            queue.enqueue(server.url, "fan_out_send", 1)
    assert [line["event"] for line in lines] == [
        "queue unavailable; workers poll the database",
        "queue available again",
    ]


def test_queue_problem_is_cached(server: Server) -> None:
    """A frozen server must not delay every page."""
    with frozen(server) as url:
        queue.queue_problem_now(url)
        started = time.monotonic()
        assert all(queue.cached_problem(url) for _ in range(20))
        assert time.monotonic() - started < 1

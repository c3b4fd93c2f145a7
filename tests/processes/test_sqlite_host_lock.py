"""Only one host at a time may use a SQLite database."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import pytest

from portal.cli.main import portal
from portal.processes import StartupError, sqlite_host_lock
from portal.processes.sqlite_host_lock import Host
from portal.processes.up import Ports, run_up
from tests.support import servers
from tests.support.commands.fork_server_client import ForkServerClient

HOST_A = Host("host-a", "boot-1", "machine-1")
HOST_B = Host("host-b", "boot-2", "machine-2")
MOUNTS = r"""
/dev/vda / ext4 rw 0 0
files:/export /srv nfs4 rw 0 0
//files/share /srv/with\040space cifs rw 0 0
/dev/vdb /srv/local xfs rw 0 0
proc /proc proc rw 0 0
"""


@dataclass(frozen=True)
class HostProcess:
    pid: int
    output: Path
    fork_server: ForkServerClient

    def exit_code(self) -> int:
        return self.fork_server.wait(self.pid)

    def is_running(self) -> bool:
        self.fork_server.poll()
        return self.fork_server.exit_code(self.pid) is None


Start = Callable[..., HostProcess]


@pytest.fixture
def instance_folder(sqlite_template_file: Path, tmp_path: Path) -> Path:
    shutil.copy(sqlite_template_file, tmp_path / "portal.sqlite")
    return tmp_path


@pytest.fixture
def start_on_host(fork_server: ForkServerClient, instance_folder: Path) -> Iterator[Start]:
    """Start a `portal` command on a host, with stdout and stderr together."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
    with ExitStack() as stack:

        def run(host: Host, *arguments: str, **environment: str) -> HostProcess:
            own = {"PORTAL_INSTANCE": str(instance_folder), "HOST": json.dumps(host.__dict__)}
            output = instance_folder / "-".join([host.name, *arguments])
            running = fork_server.running(arguments, {**inherited, **own, **environment}, output)
            return HostProcess(stack.enter_context(running), output, fork_server)

        yield run


def lock_holder(folder: Path) -> str:
    lock_file = folder / "portal.sqlite.host"
    return str(json.loads(lock_file.read_text())["name"]) if lock_file.exists() else ""


def database_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'portal.sqlite'}"


def assert_refused(output: str, folder: Path) -> None:
    assert output.count("\n") == 1
    assert output.startswith(f"Another host, host-a, uses the SQLite database {folder / 'portal.sqlite'} (last seen ")
    assert "SQLite supports one host only" in output
    assert "PostgreSQL on every host (PORTAL_DATABASE_URL)" in output


def test_processes_on_a_second_host_are_refused(instance_folder: Path, start_on_host: Start) -> None:
    first = start_on_host(HOST_A, "scheduler")
    servers.wait_for(lambda: lock_holder(instance_folder) == "host-a", "the first host to be recorded")
    for process in [start_on_host(HOST_B, "worker", "sms"), start_on_host(HOST_B, "web")]:
        assert process.exit_code() == 1
        assert_refused(process.output.read_text(), instance_folder)
    assert lock_holder(instance_folder) == "host-a"
    assert first.is_running()


def test_commands_on_a_second_host_are_refused(
    instance_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PORTAL_INSTANCE", str(instance_folder))
    monkeypatch.setattr(sqlite_host_lock, "current_host", lambda: HOST_A)
    sqlite_host_lock.record_host(database_url(instance_folder))
    monkeypatch.setattr(sqlite_host_lock, "current_host", lambda: HOST_B)
    with pytest.raises(SystemExit) as exit_info:
        portal.main(["config", "show"])
    assert exit_info.value.code == 1
    assert_refused(capsys.readouterr().err, instance_folder)
    assert run_up({"PORTAL_INSTANCE": str(instance_folder)}, Ports(servers.free_port(), 0, 0), demo=False) == 1
    assert_refused(capsys.readouterr().err, instance_folder)


def test_second_process_on_the_same_host_is_accepted(instance_folder: Path, start_on_host: Start) -> None:
    sqlite_host_lock.record_host(database_url(instance_folder))
    container = Host("3f1c9b0a77de", sqlite_host_lock.current_host().boot_id, "")
    command = start_on_host(container, "config", "show")
    second = start_on_host(container, "scheduler")
    assert command.exit_code() == 0, command.output.read_text()
    servers.wait_for(
        lambda: lock_holder(instance_folder) == container.name, "the container to be recorded as the same host"
    )
    assert second.is_running()


def test_stale_host_is_replaced(instance_folder: Path, start_on_host: Start) -> None:
    sqlite_host_lock.record_host(database_url(instance_folder))
    lock_file = instance_folder / "portal.sqlite.host"
    os.utime(lock_file, (time.time() - 61, time.time() - 61))
    second = start_on_host(HOST_B, "scheduler")
    servers.wait_for(lambda: lock_holder(instance_folder) == "host-b", "the other host to be recorded")
    assert second.is_running()
    assert lock_file.stat().st_mode & 0o777 == 0o644
    assert not list(instance_folder.glob("portal.sqlite.host.*")), "no temporary file is left"


def test_host_stops_when_another_has_taken_over(
    instance_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sqlite_host_lock, "_HEARTBEAT_SECONDS", 0.01)
    taken_over = Event()
    sqlite_host_lock.hold_host_lock(database_url(instance_folder), taken_over.set)

    def has_taken_over() -> bool:
        (instance_folder / "portal.sqlite.host").write_text(json.dumps(HOST_B.__dict__))
        return taken_over.wait(0.05)

    servers.wait_for(has_taken_over, "the first host to notice")
    assert "Another host, host-b," in capsys.readouterr().err


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (Host("3f1c9b0a77de", "boot-1", ""), True),  # a container of the same machine
        (Host("host-a", "boot-9", "machine-1"), True),  # the same machine after a reboot
        (Host("renamed", "boot-1", "machine-1"), True),
        (Host("clone", "boot-9", "machine-1"), False),  # a copied disk image
        (Host("host-a", "boot-9", "machine-9"), False),  # two machines with the same name
        (Host("host-a", "boot-9", ""), False),
    ],
)
def test_same_host_is_recognised(other: Host, same: bool) -> None:
    assert HOST_A.is_same(other) is same
    assert other.is_same(HOST_A) is same


def test_hosts_without_ids_are_compared_by_name() -> None:
    assert Host("laptop").is_same(Host("laptop"))
    assert not Host("laptop").is_same(Host("desktop"))


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/portal.sqlite", "nfs4"),
        ("/srv/with space/portal.sqlite", "cifs"),
        ("/srv/local/portal.sqlite", "xfs"),
        ("/srvices/portal.sqlite", "ext4"),
    ],
)
def test_file_system_is_that_of_the_nearest_mount(path: str, kind: str) -> None:
    assert sqlite_host_lock._find_mount(Path(path), MOUNTS)[1] == kind


def test_database_on_a_network_file_system_is_refused(instance_folder: Path, start_on_host: Start) -> None:
    mounts = instance_folder / "mounts"
    mounts.write_text(f"/dev/vda / ext4 rw 0 0\nfiles:/export {instance_folder} nfs4 rw 0 0\n")
    process = start_on_host(HOST_A, "worker", "sms", MOUNTS=str(mounts))
    assert process.exit_code() == 1
    output = process.output.read_text()
    assert f"is on a network file system (nfs4, mounted at {instance_folder}), where SQLite loses data" in output
    assert lock_holder(instance_folder) == ""


@pytest.mark.parametrize(
    "url", ["postgresql://127.0.0.1:1/portal", "postgresql:///portal?host=/run", "sqlite:///:memory:", "sqlite://"]
)
def test_other_databases_are_not_checked(url: str) -> None:
    sqlite_host_lock.hold_host_lock(url, lambda: None)
    assert sqlite_host_lock.database_file(url) is None


def test_url_options_are_not_part_of_the_file_name() -> None:
    assert sqlite_host_lock.database_file("sqlite:////data/portal.sqlite?timeout=5") == Path("/data/portal.sqlite")


def test_unreadable_lock_file_is_ignored(instance_folder: Path) -> None:
    for text in ("", "{", "[]", '{"name": "x", "more": 1}'):
        (instance_folder / "portal.sqlite.host").write_text(text)
        sqlite_host_lock.ensure_single_host(database_url(instance_folder))


def test_lock_file_from_the_future_is_current(instance_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sqlite_host_lock.record_host(database_url(instance_folder))
    future = time.time() + 300
    os.utime(instance_folder / "portal.sqlite.host", (future, future))
    monkeypatch.setattr(sqlite_host_lock, "current_host", lambda: HOST_B)
    with pytest.raises(StartupError, match="last seen 0 seconds ago"):
        sqlite_host_lock.ensure_single_host(database_url(instance_folder))

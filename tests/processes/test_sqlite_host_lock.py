import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import pytest

from portal.cli.main import portal
from portal.processes import StartupError, sqlite_host_lock
from portal.processes.sqlite_host_lock import Host
from portal.processes.up import run_up
from tests.support import servers

OTHER_HOST_COMMAND = [sys.executable, str(Path(__file__).with_name("portal_on_other_host.py"))]
HOST_A = Host("ashore", "boot-1", "machine-1")
HOST_B = Host("aboard", "boot-2", "machine-2")
MOUNTS = r"""
/dev/vda / ext4 rw 0 0
files:/export /srv nfs4 rw 0 0
//files/share /srv/with\040space cifs rw 0 0
/dev/vdb /srv/local xfs rw 0 0
proc /proc proc rw 0 0
"""
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def instance_folder(sqlite_template_file: Path, tmp_path: Path) -> Path:
    shutil.copy(sqlite_template_file, tmp_path / "portal.sqlite")
    return tmp_path


@pytest.fixture
def start_on_host(instance_folder: Path) -> Iterator[Start]:
    """`portal` on a host, with standard output and error together."""
    started: list[subprocess.Popen[str]] = []

    def run(host: Host, *words: str, **environment: str) -> "subprocess.Popen[str]":
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
        mine = {
            "PORTAL_INSTANCE": str(instance_folder),
            "PYTHONPATH": str(servers.ROOT),
            "HOST": json.dumps(host.__dict__),
        }
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
        every = {**kept, **mine, **environment}
        started.append(
            subprocess.Popen([*OTHER_HOST_COMMAND, *words], env=every, cwd=servers.ROOT, text=True, **streams)
        )
        return started[-1]

    yield run
    for process in started:
        servers.stop_process(process)


def lock_holder(folder: Path) -> str:
    note = folder / "portal.sqlite.host"
    return str(json.loads(note.read_text())["name"]) if note.exists() else ""


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'portal.sqlite'}"


def assert_refused(said: str, folder: Path) -> None:
    assert said.count("\n") == 1
    assert said.startswith(f"Another host, ashore, uses the SQLite database {folder / 'portal.sqlite'} (last seen ")
    assert "SQLite serves one host only" in said
    assert "PostgreSQL in PORTAL_DATABASE_URL" in said


def test_the_processes_of_a_second_host_are_refused_and_told_the_way_out(
    instance_folder: Path, start_on_host: Start
) -> None:
    first = start_on_host(HOST_A, "scheduler")
    servers.wait_for(lambda: lock_holder(instance_folder) == "ashore", "the first host to be noted")
    for process in [start_on_host(HOST_B, "worker", "sms"), start_on_host(HOST_B, "web")]:
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 1, said
        assert_refused(said, instance_folder)
    assert lock_holder(instance_folder) == "ashore"
    assert first.poll() is None


def test_so_are_its_commands(
    instance_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PORTAL_INSTANCE", str(instance_folder))
    monkeypatch.setattr(sqlite_host_lock, "this_host", lambda: HOST_A)
    sqlite_host_lock.record_host(url(instance_folder))
    monkeypatch.setattr(sqlite_host_lock, "this_host", lambda: HOST_B)
    with pytest.raises(SystemExit) as left:
        portal.main(["config", "show"])
    assert left.value.code == 1
    assert_refused(capsys.readouterr().err, instance_folder)
    assert run_up({"PORTAL_INSTANCE": str(instance_folder)}, port=servers.free_port(), demo=False) == 1
    assert_refused(capsys.readouterr().err, instance_folder)


def test_a_second_process_and_a_command_on_the_same_host_are_welcome(
    instance_folder: Path, start_on_host: Start
) -> None:
    sqlite_host_lock.record_host(url(instance_folder))
    in_a_container = Host("3f1c9b0a77de", sqlite_host_lock.current_host().boot_id, "")
    command = start_on_host(in_a_container, "config", "show")
    second = start_on_host(in_a_container, "scheduler")
    said, _ = command.communicate(timeout=60)
    assert command.returncode == 0, said
    servers.wait_for(
        lambda: lock_holder(instance_folder) == in_a_container.name, "the container to be noted as the same host"
    )
    assert second.poll() is None


def test_a_host_that_was_silent_for_a_minute_makes_way(instance_folder: Path, start_on_host: Start) -> None:
    sqlite_host_lock.record_host(url(instance_folder))
    note = instance_folder / "portal.sqlite.host"
    os.utime(note, (time.time() - 61, time.time() - 61))
    moved = start_on_host(HOST_B, "scheduler")
    servers.wait_for(lambda: lock_holder(instance_folder) == "aboard", "the other host to be noted")
    assert moved.poll() is None
    assert note.stat().st_mode & 0o777 == 0o644
    assert not list(instance_folder.glob("portal.sqlite.host.*")), "no draft is left"


def test_a_host_that_slept_while_another_took_over_leaves(
    instance_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sqlite_host_lock, "_HEARTBEAT_SECONDS", 0.01)
    left = Event()
    sqlite_host_lock.hold_host_lock(url(instance_folder), left.set)

    def has_taken_over() -> bool:
        (instance_folder / "portal.sqlite.host").write_text(json.dumps(HOST_B.__dict__))
        return left.wait(0.05)

    servers.wait_for(has_taken_over, "the first host to notice")
    assert "Another host, aboard," in capsys.readouterr().err


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (Host("3f1c9b0a77de", "boot-1", ""), True),  # a container of the same machine
        (Host("ashore", "boot-9", "machine-1"), True),  # the same machine, started anew
        (Host("renamed", "boot-1", "machine-1"), True),
        (Host("clone", "boot-9", "machine-1"), False),  # a copied disk image
        (Host("ashore", "boot-9", "machine-9"), False),  # two machines called the same
        (Host("ashore", "boot-9", ""), False),
    ],
)
def test_who_is_the_same_host(other: Host, same: bool) -> None:
    assert HOST_A.is_same(other) is same
    assert other.is_same(HOST_A) is same


def test_where_only_the_name_is_known_the_name_decides() -> None:
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
def test_the_file_system_of_a_file_is_the_one_mounted_nearest_to_it(path: str, kind: str) -> None:
    assert sqlite_host_lock._mount(Path(path), MOUNTS)[1] == kind


def test_a_database_on_a_network_file_system_is_refused(instance_folder: Path, start_on_host: Start) -> None:
    mounts = instance_folder / "mounts"
    mounts.write_text(f"/dev/vda / ext4 rw 0 0\nfiles:/export {instance_folder} nfs4 rw 0 0\n")
    process = start_on_host(HOST_A, "worker", "sms", MOUNTS=str(mounts))
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert f"is on a network file system (nfs4, mounted at {instance_folder}), where SQLite loses data" in said
    assert lock_holder(instance_folder) == ""


@pytest.mark.parametrize(
    "address", ["postgresql://127.0.0.1:1/portal", "postgresql:///portal?host=/run", "sqlite:///:memory:", "sqlite://"]
)
def test_what_is_no_file_is_let_pass_without_a_look(address: str, tmp_path: Path) -> None:
    sqlite_host_lock.hold_host_lock(address, lambda: None)
    assert sqlite_host_lock.database_file(address) is None


def test_options_of_the_address_are_no_part_of_the_name() -> None:
    assert sqlite_host_lock.database_file("sqlite:////data/portal.sqlite?timeout=5") == Path("/data/portal.sqlite")


def test_a_note_that_cannot_be_read_does_not_stand_in_the_way(instance_folder: Path) -> None:
    for text in ("", "{", "[]", '{"name": "x", "more": 1}'):
        (instance_folder / "portal.sqlite.host").write_text(text)
        sqlite_host_lock.ensure_single_host(url(instance_folder))


def test_a_note_from_a_clock_ahead_of_ours_is_alive(instance_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sqlite_host_lock.record_host(url(instance_folder))
    ahead = time.time() + 300
    os.utime(instance_folder / "portal.sqlite.host", (ahead, ahead))
    monkeypatch.setattr(sqlite_host_lock, "this_host", lambda: HOST_B)
    with pytest.raises(StartupError, match="last seen 0 seconds ago"):
        sqlite_host_lock.ensure_single_host(url(instance_folder))

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import parts
import pytest

from portal.cli import portal
from portal.processes import Refused, hosts
from portal.processes.hosts import Host
from portal.processes.up import run_up

ELSEWHERE = [sys.executable, str(Path(__file__).with_name("elsewhere.py"))]
ASHORE = Host("ashore", "boot-1", "machine-1")
ABOARD = Host("aboard", "boot-2", "machine-2")
MOUNTS = r"""
/dev/vda / ext4 rw 0 0
files:/export /srv nfs4 rw 0 0
//files/share /srv/with\040space cifs rw 0 0
/dev/vdb /srv/local xfs rw 0 0
proc /proc proc rw 0 0
"""
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def folder(sqlite_model: Path, tmp_path: Path) -> Path:
    shutil.copy(sqlite_model, tmp_path / "portal.sqlite")
    return tmp_path


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    """`portal` on a host, with standard output and error together."""
    started: list[subprocess.Popen[str]] = []

    def run(host: Host, *words: str, **environment: str) -> "subprocess.Popen[str]":
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
        mine = {"PORTAL_INSTANCE": str(folder), "PYTHONPATH": str(parts.ROOT), "HOST": json.dumps(host.__dict__)}
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
        every = {**kept, **mine, **environment}
        started.append(subprocess.Popen([*ELSEWHERE, *words], env=every, cwd=parts.ROOT, text=True, **streams))
        return started[-1]

    yield run
    for process in started:
        parts.stop(process)


def holder(folder: Path) -> str:
    note = folder / "portal.sqlite.host"
    return str(json.loads(note.read_text())["name"]) if note.exists() else ""


def url(folder: Path) -> str:
    return f"sqlite:///{folder / 'portal.sqlite'}"


def assert_refused(said: str, folder: Path) -> None:
    assert said.count("\n") == 1
    assert said.startswith(f"Another host, ashore, uses the SQLite database {folder / 'portal.sqlite'} (last seen ")
    assert "SQLite serves one host only" in said
    assert "PostgreSQL in PORTAL_DATABASE_URL" in said


def test_the_processes_of_a_second_host_are_refused_and_told_the_way_out(folder: Path, start: Start) -> None:
    first = start(ASHORE, "scheduler")
    parts.wait_for(lambda: holder(folder) == "ashore", "the first host to be noted")
    for process in [start(ABOARD, "worker", "sms"), start(ABOARD, "web")]:
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 1, said
        assert_refused(said, folder)
    assert holder(folder) == "ashore"
    assert first.poll() is None


def test_so_are_its_commands(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PORTAL_INSTANCE", str(folder))
    monkeypatch.setattr(hosts, "this_host", lambda: ASHORE)
    hosts.note(url(folder))
    monkeypatch.setattr(hosts, "this_host", lambda: ABOARD)
    with pytest.raises(SystemExit) as left:
        portal.main(["config", "show"])
    assert left.value.code == 1
    assert_refused(capsys.readouterr().err, folder)
    assert run_up({"PORTAL_INSTANCE": str(folder)}, port=parts.free_port(), demo=False) == 1
    assert_refused(capsys.readouterr().err, folder)


def test_a_second_process_and_a_command_on_the_same_host_are_welcome(folder: Path, start: Start) -> None:
    hosts.note(url(folder))
    in_a_container = Host("3f1c9b0a77de", hosts.this_host().boot, "")
    command = start(in_a_container, "config", "show")
    second = start(in_a_container, "scheduler")
    said, _ = command.communicate(timeout=60)
    assert command.returncode == 0, said
    parts.wait_for(lambda: holder(folder) == in_a_container.name, "the container to be noted as the same host")
    assert second.poll() is None


def test_a_host_that_was_silent_for_a_minute_makes_way(folder: Path, start: Start) -> None:
    hosts.note(url(folder))
    note = folder / "portal.sqlite.host"
    os.utime(note, (time.time() - 61, time.time() - 61))
    moved = start(ABOARD, "scheduler")
    parts.wait_for(lambda: holder(folder) == "aboard", "the other host to be noted")
    assert moved.poll() is None
    assert note.stat().st_mode & 0o777 == 0o644
    assert not list(folder.glob("portal.sqlite.host.*")), "no draft is left"


def test_a_host_that_slept_while_another_took_over_leaves(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(hosts, "_BEAT_SECONDS", 0.01)
    left = Event()
    hosts.keep(url(folder), left.set)

    def takes_over() -> bool:
        (folder / "portal.sqlite.host").write_text(json.dumps(ABOARD.__dict__))
        return left.wait(0.05)

    parts.wait_for(takes_over, "the first host to notice")
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
    assert ASHORE.is_same(other) is same
    assert other.is_same(ASHORE) is same


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
    assert hosts._mount(Path(path), MOUNTS)[1] == kind


def test_a_database_on_a_network_file_system_is_refused(folder: Path, start: Start) -> None:
    mounts = folder / "mounts"
    mounts.write_text(f"/dev/vda / ext4 rw 0 0\nfiles:/export {folder} nfs4 rw 0 0\n")
    process = start(ASHORE, "worker", "sms", MOUNTS=str(mounts))
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert f"is on a network file system (nfs4, mounted at {folder}), where SQLite loses data" in said
    assert holder(folder) == ""


@pytest.mark.parametrize(
    "address", ["postgresql://127.0.0.1:1/portal", "postgresql:///portal?host=/run", "sqlite:///:memory:", "sqlite://"]
)
def test_what_is_no_file_is_let_pass_without_a_look(address: str, tmp_path: Path) -> None:
    hosts.keep(address, lambda: None)
    assert hosts.database_file(address) is None


def test_options_of_the_address_are_no_part_of_the_name() -> None:
    assert hosts.database_file("sqlite:////data/portal.sqlite?timeout=5") == Path("/data/portal.sqlite")


def test_a_note_that_cannot_be_read_does_not_stand_in_the_way(folder: Path) -> None:
    for text in ("", "{", "[]", '{"name": "x", "more": 1}'):
        (folder / "portal.sqlite.host").write_text(text)
        hosts.check(url(folder))


def test_a_note_from_a_clock_ahead_of_ours_is_alive(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts.note(url(folder))
    ahead = time.time() + 300
    os.utime(folder / "portal.sqlite.host", (ahead, ahead))
    monkeypatch.setattr(hosts, "this_host", lambda: ABOARD)
    with pytest.raises(Refused, match="last seen 0 seconds ago"):
        hosts.check(url(folder))

"""SQLite serves one host. A note beside the database says which host uses it, and its age is the sign of life.

Beside the database and not in it: to open a database that another host has open can already damage it. Where a folder
is shared by means that cannot be told from a local disk, the note is what the second host sees.
"""

import contextlib
import json
import os
import re
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event, Thread

from portal.processes import Refused

_BEAT_SECONDS = 10.0
_GONE_SECONDS = 60.0
_ROOT = Path(__file__).resolve().parent.parent.parent
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_MACHINE = Path("/etc/machine-id")
_MOUNTS = Path("/proc/self/mounts")
_NETWORKED = re.compile(
    r"nfs\d?|cifs|smb\w*|afs|ceph|lustre|gpfs|beegfs|gfs2?|ocfs2|glusterfs"
    r"|fuse\.(sshfs|glusterfs|ceph\w*|s3fs|rclone|gcsfuse|blobfuse2?|davfs2?)|davfs"
)


@dataclass(frozen=True)
class Host:
    name: str
    boot: str = ""
    """The running kernel. Containers of one machine share it, and with it what SQLite needs: memory and locks."""
    machine: str = ""

    def is_same(self, other: "Host") -> bool:
        """The kernel tells, where it can be asked; a machine that was started anew is known by its name and its id."""
        if self.boot and self.boot == other.boot:
            return True
        return (self.name, self.machine) == (other.name, other.machine) and bool(self.machine or not self.boot)


def this_host() -> Host:
    return Host(socket.gethostname(), _read(_BOOT), _read(_MACHINE))


def check(database_url: str) -> None:
    """Refuse a SQLite database that another host uses, or that is not on this machine at all."""
    database = database_file(database_url)
    if database is None:
        return
    _check_disk(database)
    holder, seconds = _holder(_note(database))
    if holder and not holder.is_same(this_host()) and seconds < _GONE_SECONDS:
        raise Refused(
            f"Another host, {holder.name}, uses the SQLite database {database} (last seen {max(0, round(seconds))} "
            "seconds ago), and SQLite serves one host only. Stop the portal there and wait a minute, or give every "
            "host the same PostgreSQL in PORTAL_DATABASE_URL."
        )


def note(database_url: str) -> None:
    """This host uses the database now."""
    database = database_file(database_url)
    if database is not None:
        _write(_note(database))


def keep(database_url: str, leave: Callable[[], None]) -> None:
    """Check, and note this host for as long as this process lives; `leave` is called when another host took over."""
    check(database_url)
    note(database_url)
    if database_file(database_url) is not None:
        Thread(target=_beat, args=(database_url, leave), daemon=True, name="host").start()


def _beat(database_url: str, leave: Callable[[], None]) -> None:
    never = Event()
    while not never.wait(_BEAT_SECONDS):
        try:
            check(database_url)
        except Refused as refused:
            print(refused, file=sys.stderr, flush=True)
            leave()
            return
        note(database_url)


def database_file(database_url: str) -> Path | None:
    """The file of a SQLite database; a relative one is in `instance/`, as Flask-SQLAlchemy has it."""
    name = database_url.removeprefix("sqlite:///").partition("?")[0]
    if not database_url.startswith("sqlite:///") or name in ("", ":memory:") or name.startswith("file:"):
        return None
    return (_ROOT / "instance" / name).resolve()


def _note(database: Path) -> Path:
    return database.with_name(f"{database.name}.host")


def _holder(note: Path) -> tuple[Host | None, float]:
    """The host of the note and how many seconds ago it gave a sign of life."""
    try:
        return Host(**json.loads(note.read_text())), time.time() - note.stat().st_mtime
    except (OSError, ValueError, TypeError):
        return None, 0.0


def _write(note: Path) -> None:
    """Whole or not at all. A folder where nothing can be written has no database either, and that speaks for itself."""
    draft = note.with_name(f"{note.name}.{socket.gethostname()}-{os.getpid()}")
    with contextlib.suppress(OSError):
        draft.write_text(json.dumps(asdict(this_host())))
        draft.chmod(0o644)
        draft.replace(note)


def _check_disk(database: Path) -> None:
    place, kind = _mount(database, _read(_MOUNTS))
    if _NETWORKED.fullmatch(kind):
        raise Refused(
            f"The SQLite database {database} is on a network file system ({kind}, mounted at {place}), where SQLite "
            "loses data. Keep it on a disk of this machine (PORTAL_INSTANCE), or use PostgreSQL (PORTAL_DATABASE_URL)."
        )


def _mount(database: Path, mounts: str) -> tuple[str, str]:
    """Where the file system begins that holds the file, and its kind; nothing where the machine does not tell."""
    found = ("", "")
    for line in mounts.splitlines():
        fields = [re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), field) for field in line.split(" ")]
        if len(fields) > 2 and database.is_relative_to(fields[1]) and len(fields[1]) >= len(found[0]):
            found = (fields[1], fields[2])
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""

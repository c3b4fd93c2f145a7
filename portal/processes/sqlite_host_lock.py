"""Only one host may use a SQLite database. A file next to it names the host, and its age is the heartbeat.

The file is not in the database, because opening a database that another host has open can damage it. It also detects
shared folders that look like a local disk.
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
from threading import Thread

from portal.processes import StartupError

_HEARTBEAT_SECONDS = 10.0
_STALE_SECONDS = 60.0
_ROOT = Path(__file__).resolve().parents[2]
_BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")
_MACHINE_ID_FILE = Path("/etc/machine-id")
_MOUNTS_FILE = Path("/proc/self/mounts")
_NETWORK_FILE_SYSTEM = re.compile(
    r"nfs\d?|cifs|smb\w*|afs|ceph|lustre|gpfs|beegfs|gfs2?|ocfs2|glusterfs"
    r"|fuse\.(sshfs|glusterfs|ceph\w*|s3fs|rclone|gcsfuse|blobfuse2?|davfs2?)|davfs"
)


@dataclass(frozen=True)
class Host:
    name: str
    boot_id: str = ""
    """The running kernel. Containers on one machine share it, and so the memory and locks that SQLite needs."""
    machine_id: str = ""

    def is_same(self, other: "Host") -> bool:
        """Same kernel; or same name and machine id, as after a reboot."""
        if self.boot_id and self.boot_id == other.boot_id:
            return True
        is_same_name = (self.name, self.machine_id) == (other.name, other.machine_id)
        return is_same_name and bool(self.machine_id or not self.boot_id)


def current_host() -> Host:
    return Host(socket.gethostname(), _read_text(_BOOT_ID_FILE), _read_text(_MACHINE_ID_FILE))


def ensure_single_host(database_url: str) -> None:
    """Raise `StartupError` if another host uses the SQLite database, or if it is on a network file system."""
    database = database_file(database_url)
    if database is None:
        return
    _check_file_system(database)
    holder, seconds = _read_holder(_lock_file(database))
    if holder and not holder.is_same(current_host()) and seconds < _STALE_SECONDS:
        raise StartupError(
            f"Another host, {holder.name}, uses the SQLite database {database} (last seen {max(0, round(seconds))} "
            "seconds ago), and SQLite supports one host only. Stop the portal there and wait a minute, or use "
            "PostgreSQL on every host (PORTAL_DATABASE_URL)."
        )


def record_host(database_url: str) -> None:
    """Record atomically that this host uses the database.

    Errors are ignored: in a read-only folder, the database fails itself.
    """
    if (database := database_file(database_url)) is None:
        return
    lock_file = _lock_file(database)
    draft = lock_file.with_name(f"{lock_file.name}.{socket.gethostname()}-{os.getpid()}")
    with contextlib.suppress(OSError):
        draft.write_text(json.dumps(asdict(current_host())))
        draft.chmod(0o644)
        draft.replace(lock_file)


def hold_host_lock(database_url: str, on_takeover: Callable[[], None]) -> None:
    """Check and record this host while this process runs; call `on_takeover` if another host takes over."""
    ensure_single_host(database_url)
    record_host(database_url)
    if database_file(database_url) is not None:
        Thread(target=_heartbeat_loop, args=(database_url, on_takeover), daemon=True, name="host").start()


def _heartbeat_loop(database_url: str, on_takeover: Callable[[], None]) -> None:
    while True:
        time.sleep(_HEARTBEAT_SECONDS)
        try:
            ensure_single_host(database_url)
        except StartupError as error:
            print(error, file=sys.stderr, flush=True)
            on_takeover()
            return
        record_host(database_url)


def database_file(database_url: str) -> Path | None:
    """The file of a SQLite database; like Flask-SQLAlchemy, a relative path starts in `instance/`."""
    name = database_url.removeprefix("sqlite:///").partition("?")[0]
    if not database_url.startswith("sqlite:///") or name in ("", ":memory:") or name.startswith("file:"):
        return None
    return (_ROOT / "instance" / name).resolve()


def _lock_file(database: Path) -> Path:
    return database.with_name(f"{database.name}.host")


def _read_holder(lock_file: Path) -> tuple[Host | None, float]:
    """The recorded host, and the seconds since its last heartbeat."""
    try:
        return Host(**json.loads(lock_file.read_text())), time.time() - lock_file.stat().st_mtime
    except (OSError, ValueError, TypeError):
        return None, 0.0


def _check_file_system(database: Path) -> None:
    mount_point, kind = _find_mount(database, _read_text(_MOUNTS_FILE))
    if _NETWORK_FILE_SYSTEM.fullmatch(kind):
        raise StartupError(
            f"The SQLite database {database} is on a network file system ({kind}, mounted at {mount_point}), "
            "where SQLite loses data. Keep it on a disk of this machine (PORTAL_INSTANCE), or use PostgreSQL "
            "(PORTAL_DATABASE_URL)."
        )


def _find_mount(database: Path, mounts: str) -> tuple[str, str]:
    """The mount point of the file, and the kind of file system; empty if unknown."""
    mount = ("", "")
    for line in mounts.splitlines():
        fields = [re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), field) for field in line.split(" ")]
        if len(fields) > 2 and database.is_relative_to(fields[1]) and len(fields[1]) >= len(mount[0]):
            mount = (fields[1], fields[2])
    return mount


def _read_text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""

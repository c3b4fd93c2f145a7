"""What must hold before anything starts; each check refuses with one sentence that names the way out."""

import contextlib
import errno
import fcntl
import os
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from portal.processes import StartupError

_LOCK_POLL_SECONDS = 0.1
_PREVIOUS_RUN_SECONDS = 65.0  # longer than a predecessor's guardian takes to end what is left


@dataclass(frozen=True)
class Port:
    number: int
    option: str
    """The option of `portal up` that chooses another."""


def check_machine(platform: str = sys.platform, version: tuple[int, ...] = tuple(sys.version_info[:2])) -> None:
    if not platform.startswith(("linux", "darwin")):
        raise StartupError("portal up runs on Linux and macOS: on Windows, run it inside WSL.")
    if version < (3, 11):
        raise StartupError("portal up needs Python 3.11 or newer: install one and run make setup again.")


def check_instance(instance: Path) -> None:
    """Make the folder, private, and see that it can be written."""
    probe = instance / f".probe-{os.getpid()}"
    try:
        instance.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise StartupError(
            f"The data folder {instance} cannot be written ({reason}). "
            "Give this user the right to write there, or choose another folder with PORTAL_INSTANCE."
        ) from error


def check_ports(*ports: Port) -> None:
    numbers = [port.number for port in ports]
    for port in ports:
        if not 1 <= port.number <= 65_535:
            raise StartupError(
                f"There is no port {port.number}. Choose one from 1024 to 65535: portal up {port.option} 8010"
            )
        if numbers.count(port.number) > 1:
            raise StartupError(f"Port {port.number} is asked for twice. Choose another: portal up {port.option} 8010")
        _check_port_free(port, numbers)


def _check_port_free(port: Port, taken: list[int]) -> None:
    with socket.socket() as asking:
        asking.settimeout(1)
        busy = asking.connect_ex(("127.0.0.1", port.number)) == 0
    with socket.socket() as trying:
        trying.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a connection just closed does not count
        try:
            if not busy:
                trying.bind(("127.0.0.1", port.number))
        except OSError as error:
            if error.errno == errno.EACCES:
                raise StartupError(
                    f"Port {port.number} is reserved for the system administrator. "
                    f"Choose one from 1024 up: portal up {port.option} {_suggest_port(8000, taken)}"
                ) from error
            busy = True
    if busy:
        raise StartupError(
            f"Port {port.number} is in use by another program. "
            f"Choose another: portal up {port.option} {_suggest_port(port.number, taken)}"
        )


def _suggest_port(number: int, taken: list[int]) -> int:
    """The next round number, so that the demo's neighbouring ports have room too."""
    suggestion = number // 10 * 10 + 10
    while suggestion in taken:
        suggestion += 10
    return suggestion if suggestion <= 65_000 else 8010


def lock_instance(instance: Path, report: Callable[[str], None], timeout_seconds: float = _PREVIOUS_RUN_SECONDS) -> int:
    """Take the folder for this run: an open descriptor whose lock the kernel drops with the last holder.

    When the holder was killed, its guardian keeps the lock until the last child is gone, so that two data servers
    never share one append-only file; that is waited for.
    """
    descriptor = os.open(instance / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + timeout_seconds
    waiting = False
    while not _try_lock(descriptor):
        holder = _lock_holder_pid(descriptor)
        if _is_running(holder) or time.monotonic() > deadline:
            os.close(descriptor)
            raise StartupError(
                f"Another portal up (process {holder}) is already using {instance}. "
                "Stop it first, or choose another folder with PORTAL_INSTANCE."
            )
        if not waiting:
            report("Waiting for what the last run left behind to end ...")
            waiting = True
        time.sleep(_LOCK_POLL_SECONDS)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock_holder_pid(descriptor: int) -> int:
    with contextlib.suppress(ValueError):
        return int(os.pread(descriptor, 20, 0))
    return 0


def _is_running(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

"""Checks before anything starts. Each raises `StartupError` with a sentence that says what to do."""

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

from portal.processes import StartupError, is_process_running

_LOCK_POLL_SECONDS = 0.1
_PREVIOUS_RUN_SECONDS = 65.0  # longer than the orphan reaper of the previous run takes


@dataclass(frozen=True)
class Port:
    number: int
    option: str
    """The option of `portal up` that sets the port."""


def check_machine(platform: str = sys.platform, version: tuple[int, ...] = tuple(sys.version_info[:2])) -> None:
    if not platform.startswith(("linux", "darwin")):
        raise StartupError("portal up runs on Linux and macOS: on Windows, run it inside WSL.")
    if version < (3, 11):
        raise StartupError("portal up needs Python 3.11 or newer: install one and run make setup again.")


def check_instance(instance: Path) -> None:
    """Create the private folder, and check that it is writable."""
    probe = instance / f".probe-{os.getpid()}"
    try:
        instance.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise StartupError(
            f"The data folder {instance} is not writable ({reason}). "
            "Give this user write access, or choose another folder with PORTAL_INSTANCE."
        ) from error


def check_ports(*ports: Port) -> None:
    numbers = [port.number for port in ports]
    for port in ports:
        if not 1 <= port.number <= 65_535:
            raise StartupError(
                f"{port.number} is not a valid port. Choose one from 1024 to 65535: portal up {port.option} 8010"
            )
        if numbers.count(port.number) > 1:
            raise StartupError(f"Port {port.number} is used twice. Choose another: portal up {port.option} 8010")
        _check_port_free(port, numbers)


def is_listening(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


def _check_port_free(port: Port, taken: list[int]) -> None:
    is_busy = is_listening(port.number)
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # ignores connections just closed
        try:
            if not is_busy:
                server.bind(("127.0.0.1", port.number))
        except OSError as error:
            if error.errno == errno.EACCES:
                raise StartupError(
                    f"Only root may use port {port.number}. "
                    f"Choose one from 1024 up: portal up {port.option} {_suggest_port(8000, taken)}"
                ) from error
            is_busy = True
    if is_busy:
        raise StartupError(
            f"Port {port.number} is in use by another program. "
            f"Choose another: portal up {port.option} {_suggest_port(port.number, taken)}"
        )


def _suggest_port(number: int, taken: list[int]) -> int:
    """The next multiple of ten, so that the demo's adjacent ports are free too."""
    suggestion = number // 10 * 10 + 10
    while suggestion in taken:
        suggestion += 10
    return suggestion if suggestion <= 65_000 else 8010


def lock_instance(instance: Path, report: Callable[[str], None], timeout_seconds: float = _PREVIOUS_RUN_SECONDS) -> int:
    """Lock the folder for this run; the returned descriptor holds the lock until its last holder ends.

    If the holder was killed, this waits until its orphan reaper has ended the last child and releases the lock, so
    that two data servers never share an append-only file.
    """
    descriptor = os.open(instance / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + timeout_seconds
    has_reported = False
    while not _try_lock(descriptor):
        holder = _lock_holder_pid(descriptor)
        if (holder > 0 and is_process_running(holder)) or time.monotonic() > deadline:
            os.close(descriptor)
            raise StartupError(
                f"Another portal up (process {holder}) is already using {instance}. "
                "Stop it first, or choose another folder with PORTAL_INSTANCE."
            )
        if not has_reported:
            report("Waiting for the processes of the previous run to end ...")
            has_reported = True
        time.sleep(_LOCK_POLL_SECONDS)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor


def ensure_stopped(instance: Path) -> None:
    """Raises `StartupError` while `portal up` runs on the folder."""
    descriptor = os.open(instance / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _try_lock(descriptor):
            raise StartupError(f"Stop portal up first: its processes know only the present keys of {instance}.")
    finally:
        os.close(descriptor)


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

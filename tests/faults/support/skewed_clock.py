"""A clock that is wrong: a process started with FAULTS_CLOCK=FILE reads the time plus the seconds in that file."""

import mmap
import os
import struct
import time
from pathlib import Path

_NANOSECONDS = 1_000_000_000


def set_clock_offset(file: Path, seconds: float) -> None:
    """At once, for every process that heeds the file."""
    packed = struct.pack("q", round(seconds * _NANOSECONDS))
    if not file.exists():
        file.write_bytes(packed)
    with file.open("r+b") as handle:
        handle.write(packed)


def apply_clock_offset() -> None:
    """In the process whose clock is to be wrong, before it reads the clock; only the wall clock, as with a real one."""
    path = os.environ.get("FAULTS_CLOCK")
    if not path:
        return
    with Path(path).open("rb") as handle:
        shared = mmap.mmap(handle.fileno(), 8, access=mmap.ACCESS_READ)
    true_ns, true_seconds = time.time_ns, time.time

    def wrong_ns() -> int:
        return true_ns() + int(struct.unpack_from("q", shared)[0])

    def wrong_seconds() -> float:
        return true_seconds() + float(struct.unpack_from("q", shared)[0]) / _NANOSECONDS

    time.time_ns, time.time = wrong_ns, wrong_seconds

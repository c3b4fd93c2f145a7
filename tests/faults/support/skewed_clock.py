"""A skewed wall clock: a process started with FAULTS_CLOCK=FILE adds the offset in that file to the time."""

import mmap
import os
import struct
import time
from pathlib import Path

_NANOSECONDS = 1_000_000_000


def set_clock_offset(file: Path, seconds: float) -> None:
    """Takes effect at once in every process that uses the file."""
    packed = struct.pack("q", round(seconds * _NANOSECONDS))
    if not file.exists():
        file.write_bytes(packed)
    with file.open("r+b") as handle:
        handle.write(packed)


def apply_clock_offset() -> None:
    """Skew this process's wall clock; call before anything reads it. The monotonic clock stays correct."""
    path = os.environ.get("FAULTS_CLOCK")
    if not path:
        return
    with Path(path).open("rb") as handle:
        shared = mmap.mmap(handle.fileno(), 8, access=mmap.ACCESS_READ)
    true_ns, true_seconds = time.time_ns, time.time

    def skewed_ns() -> int:
        return true_ns() + int(struct.unpack_from("q", shared)[0])

    def skewed_seconds() -> float:
        return true_seconds() + float(struct.unpack_from("q", shared)[0]) / _NANOSECONDS

    time.time_ns, time.time = skewed_ns, skewed_seconds

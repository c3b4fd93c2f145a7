"""What a supervisor starts, how long it waits before starting it again, and how a child learns of its end."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Program:
    name: str
    command: tuple[str, ...]
    stops_last: bool = False
    """Stopped after all the others, because they need it."""


@dataclass(frozen=True)
class Backoff:
    initial_seconds: float = 0.5
    max_seconds: float = 10.0

    def delay_seconds(self, quick_exits: int) -> float:
        return min(self.max_seconds, self.initial_seconds * 2.0 ** min(quick_exits - 1, 30))


def die_with_parent(parent: int) -> Callable[[], None] | None:
    """Linux: SIGTERM for the child when we die of anything, SIGKILL included; it survives the child's exec."""
    if _LIBC is None:
        return None
    libc = _LIBC

    def before_exec() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # we died before the call: nobody would tell the child any more
            os._exit(1)

    return before_exec

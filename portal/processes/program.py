"""Supervised programs, their restart delays, and what happens in a child between fork and exec."""

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
    """Stop it after all others, because they need it."""
    run: Callable[[], object] | None = None
    """Called in a fork of the supervisor instead of executing the command, which then is only the process title."""


@dataclass(frozen=True)
class Backoff:
    initial_seconds: float = 0.5
    max_seconds: float = 10.0

    def delay_seconds(self, quick_exits: int) -> float:
        return min(self.max_seconds, self.initial_seconds * 2.0 ** min(quick_exits - 1, 30))


def die_with_parent(parent: int) -> None:
    """On Linux, called in the child before exec: it gets SIGTERM when we die, even by SIGKILL."""
    if _LIBC is None:
        return
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # we died before the call, so no signal would come
        os._exit(1)

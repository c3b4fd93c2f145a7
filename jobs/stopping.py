"""Whether this process was asked to stop: long jobs look here between batches and hand over early."""

import signal
import time

_LOOK_SECONDS = 0.1
_asked = False
"""A plain flag: a signal may come while the main thread holds the lock of an `Event`, and then waits for ever."""


def heed_signals() -> None:
    """SIGTERM and SIGINT ask to stop."""
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: ask())


def ask() -> None:
    global _asked
    _asked = True


def asked() -> bool:
    return _asked


def wait(seconds: float) -> None:
    """Until asked to stop, but no longer."""
    ends = time.monotonic() + seconds
    while not _asked and (left := ends - time.monotonic()) > 0:
        time.sleep(min(left, _LOOK_SECONDS))

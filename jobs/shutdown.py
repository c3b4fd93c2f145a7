"""Whether this process was asked to stop: long jobs look here between batches and hand over early."""

import signal
import time

_POLL_SECONDS = 0.1
_requested = False
"""A plain flag: a signal may come while the main thread holds the lock of an `Event`, and then waits for ever."""


def install_signal_handlers() -> None:
    """SIGTERM and SIGINT ask to stop."""
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: request_shutdown())


def request_shutdown() -> None:
    global _asked
    _requested = True


def is_shutdown_requested() -> bool:
    return _requested


def wait_for_shutdown(seconds: float) -> None:
    """Until asked to stop, but no longer."""
    ends = time.monotonic() + seconds
    while not _requested and (left := ends - time.monotonic()) > 0:
        time.sleep(min(left, _POLL_SECONDS))

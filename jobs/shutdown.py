"""Graceful shutdown: long jobs check for a request between batches and stop early."""

import signal
import time

_POLL_SECONDS = 0.1
_requested = False
"""Not an `Event`: a signal that arrives while the main thread holds its lock would deadlock."""


def install_signal_handlers() -> None:
    """Request shutdown on SIGTERM and SIGINT."""
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: request_shutdown())


def request_shutdown() -> None:
    global _requested
    _requested = True


def is_shutdown_requested() -> bool:
    return _requested


def wait_for_shutdown(seconds: float) -> None:
    """Sleep for `seconds`, or until shutdown is requested."""
    deadline = time.monotonic() + seconds
    while not _requested and (remaining := deadline - time.monotonic()) > 0:
        time.sleep(min(remaining, _POLL_SECONDS))

"""Whether this process was asked to stop: long jobs look here between batches and hand over early."""

import signal
from threading import Event

_asked = Event()


def heed_signals() -> None:
    """SIGTERM and SIGINT ask to stop."""
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: ask())


def ask() -> None:
    _asked.set()


def asked() -> bool:
    return _asked.is_set()


def wait(seconds: float) -> None:
    """Until asked to stop, but no longer."""
    _asked.wait(seconds)

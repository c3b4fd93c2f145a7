"""What came back from outside must not be lost to a database that is busy or away for a moment: it is tried again."""

import time
from collections.abc import Callable
from itertools import chain, repeat
from typing import TypeVar

import structlog
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError, TimeoutError

BUSY = (OperationalError, InternalError, InterfaceError, TimeoutError)
"""PostgreSQL calls it an internal error when a transaction took too long and was cut short."""
_MOST_SECONDS = 30.0
"""With the calls in flight still within the time that supervisors give a process to end."""
_PAUSES_SECONDS = (0.1, 0.5, 1.0, 2.0)

Made = TypeVar("Made")
_log = structlog.get_logger(__name__)


def patiently(work: Callable[[], Made], most_seconds: float = _MOST_SECONDS) -> Made:
    """`work` is one transaction that does no harm when it is done twice. Raises what it raised last."""
    ends = time.monotonic() + most_seconds
    for pause_seconds in chain(_PAUSES_SECONDS, repeat(_PAUSES_SECONDS[-1])):
        try:
            return work()
        except BUSY as error:
            if time.monotonic() + pause_seconds > ends:
                raise
            _log.warning("the database did not take a batch; trying again", exc_info=error)
        time.sleep(pause_seconds)
    raise AssertionError("unreachable")

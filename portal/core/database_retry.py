"""What came back from outside must not be lost to a database that is busy or away for a moment: it is tried again."""

import time
from collections.abc import Callable
from itertools import chain, repeat
from typing import TypeVar

import structlog
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError, TimeoutError

TRANSIENT_DATABASE_ERRORS = (OperationalError, InternalError, InterfaceError, TimeoutError)
"""PostgreSQL calls it an internal error when a transaction took too long and was cut short."""
_MAX_RETRY_SECONDS = 30.0
"""With the calls in flight still within the time that supervisors give a process to end."""
_RETRY_DELAYS_SECONDS = (0.1, 0.5, 1.0, 2.0)

T = TypeVar("T")
_log = structlog.get_logger(__name__)


def retry_on_database_error(work: Callable[[], T], max_seconds: float = _MAX_RETRY_SECONDS) -> T:
    """`work` is one transaction that does no harm when it is done twice. Raises what it raised last."""
    ends = time.monotonic() + max_seconds
    for pause_seconds in chain(_RETRY_DELAYS_SECONDS, repeat(_RETRY_DELAYS_SECONDS[-1])):
        try:
            return work()
        except TRANSIENT_DATABASE_ERRORS as error:
            if time.monotonic() + pause_seconds > ends:
                raise
            _log.warning("transient database error; retrying", exc_info=error)
        time.sleep(pause_seconds)
    raise AssertionError("unreachable")

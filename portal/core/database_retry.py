"""Retries for results from outside, which must not be lost when the database is briefly unavailable."""

import errno
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain, repeat
from typing import TypeVar

import structlog
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError, TimeoutError

TRANSIENT_DATABASE_ERRORS = (OperationalError, InternalError, InterfaceError, TimeoutError)
"""PostgreSQL reports a transaction timeout as an internal error."""
_MAX_RETRY_SECONDS = 30.0
"""Leaves time for the calls in flight before a supervisor kills the process."""
_RETRY_DELAYS_SECONDS = (0.1, 0.5, 1.0, 2.0)

_POSTGRES_DISK_FULL = "53100"

T = TypeVar("T")
_log = structlog.get_logger(__name__)


def retry_on_database_error(work: Callable[[], T], max_seconds: float = _MAX_RETRY_SECONDS) -> T:
    """Run `work`, one idempotent transaction, until it succeeds. Raises its last error after `max_seconds`."""
    deadline = time.monotonic() + max_seconds
    delays_seconds = chain(_RETRY_DELAYS_SECONDS, repeat(_RETRY_DELAYS_SECONDS[-1]))
    while True:
        try:
            return work()
        except TRANSIENT_DATABASE_ERRORS as error:
            delay_seconds = next(delays_seconds)
            if time.monotonic() + delay_seconds > deadline:
                raise
            _log.warning("transient database error; retrying", exc_info=error)
        time.sleep(delay_seconds)


@contextmanager
def giving_up_on_full_disk(give_up: Callable[[], None]) -> Iterator[None]:
    """Trying again would fail in the same way, until somebody makes room."""
    try:
        yield
    except (DBAPIError, OSError) as error:
        if not is_disk_full(error):
            raise
        give_up()


def is_disk_full(error: BaseException) -> bool:
    """Whether the disk of the database, or of this process, has no room left."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOSPC
    cause = getattr(error, "orig", None)
    codes = (getattr(cause, "sqlite_errorcode", None), getattr(cause, "sqlstate", None))
    return codes[0] == sqlite3.SQLITE_FULL or codes[1] == _POSTGRES_DISK_FULL

"""Whether the scheduler has checked that this database is not an older copy, so that messages may be sent.

Two timestamps of the same clock are compared: the one in the database and the one in Redis.
"""

from portal.core.context import settings
from portal.core.coordination import sync_cursor
from portal.gateways import queue

RESTORE_CURSOR = "restore_guard"
_MAX_LAG_MS = 30_000
"""The database is written first, so it lags behind Redis by at most one failed maintenance run."""
_STALE_AFTER_MS = 3_600_000
"""Without a time in Redis, a database last written longer ago may be an old copy."""


def restore_check_passed(now_ms: int) -> bool:
    database_ms, redis_ms = sync_cursor(RESTORE_CURSOR), queue.load_value(settings().redis_url, RESTORE_CURSOR)
    if database_ms is None:
        return True
    if redis_ms is None:
        return now_ms - database_ms <= _STALE_AFTER_MS
    return redis_ms - database_ms <= _MAX_LAG_MS

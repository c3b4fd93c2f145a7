"""Detect a restored database by comparing two timestamps of the same clock."""

_MAX_LAG_MS = 30_000
"""The database is written first, so it lags behind Redis by at most one failed maintenance run."""
_STALE_AFTER_MS = 3_600_000


def is_restored(database_time_ms: int | None, redis_time_ms: int | None, now_ms: int) -> bool:
    """`database_time_ms` was last written to the database, `redis_time_ms` to Redis; None if never written.

    Without a time in Redis, a database last written over an hour ago may be an old copy.
    """
    if database_time_ms is None:
        return False
    if redis_time_ms is None:
        return now_ms - database_time_ms > _STALE_AFTER_MS
    return redis_time_ms - database_time_ms > _MAX_LAG_MS

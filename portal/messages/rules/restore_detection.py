"""Whether a database was put back to an earlier time, judged by two notes of the same clock."""

_LAG_MS = 30_000
"""The note in the database is written first, so it is never older than the other by more than a turn that failed."""
_LONG_MS = 3_600_000


def is_restored(database_time_ms: int | None, redis_time_ms: int | None, now_ms: int) -> bool:
    """`noted_ms` stands in the database, `remembered_ms` outside it; None where there is no note.

    With nothing remembered outside, a database that nobody has written to for an hour may be an old copy.
    """
    if database_time_ms is None:
        return False
    if redis_time_ms is None:
        return now_ms - database_time_ms > _LONG_MS
    return redis_time_ms - database_time_ms > _LAG_MS

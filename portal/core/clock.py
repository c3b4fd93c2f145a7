"""The clock. Entry points read it and pass the time to the rules.

Hosts that share a database use the database's time: their own clocks may be minutes apart, so that one host's slots
mean nothing to the others (docs/reliability.md#one-clock).
"""

import time

_offset_us: int | None = None
"""Database time minus this host's monotonic clock; None while this host's own clock is used."""


def now_ms() -> int:
    """Whole milliseconds since 1970, UTC."""
    return now_us() // 1000


def now_us() -> int:
    """Whole microseconds since 1970, UTC, as pacing needs them."""
    return time.time_ns() // 1000 if _offset_us is None else time.monotonic_ns() // 1000 + _offset_us


def sync_to_database(database_us: int, requested_ns: int, answered_ns: int) -> None:
    """Use the database time, read between two readings of `time.monotonic_ns`.

    A sample that is consistent with the current offset changes nothing, so network latency does not make time jump.
    """
    global _offset_us
    earliest_us, latest_us = database_us - answered_ns // 1000, database_us - requested_ns // 1000
    if _offset_us is None or not earliest_us <= _offset_us <= latest_us:
        _offset_us = (earliest_us + latest_us) // 2


def use_host_clock() -> None:
    global _offset_us
    _offset_us = None

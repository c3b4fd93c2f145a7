"""The clock, read at the door and handed in to whatever decides by it.

Hosts that share a database agree on its time: their own clocks may be minutes apart, and then slots, leases and turns
of one host would mean nothing to the others (docs/reliability.md#one-clock).
"""

import time

_offset_us: int | None = None
"""How far the agreed time is ahead of this host's monotonic clock; None where this host's own time is the time."""


def now_ms() -> int:
    """Whole milliseconds since 1970, UTC."""
    return now_us() // 1000


def now_us() -> int:
    """Whole microseconds since 1970, UTC: what pacing counts in."""
    return time.time_ns() // 1000 if _offset_us is None else time.monotonic_ns() // 1000 + _offset_us


def sync_to_database(database_us: int, requested_ns: int, answered_ns: int) -> None:
    """Go by the time that the database told between two readings of `time.monotonic_ns`.

    An answer that fits what was agreed before changes nothing: the time must not jump for the sake of the wire.
    """
    global _offset_us
    earliest_us, latest_us = database_us - answered_ns // 1000, database_us - requested_ns // 1000
    if _offset_us is None or not earliest_us <= _offset_us <= latest_us:
        _offset_us = (earliest_us + latest_us) // 2


def use_host_clock() -> None:
    """Go by this host's own clock."""
    global _offset_us
    _offset_us = None

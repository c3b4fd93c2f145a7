"""The clock, read at the door and handed in to whatever decides by it."""

import time


def now_ms() -> int:
    """Whole milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


def now_us() -> int:
    """Whole microseconds since 1970, UTC: what pacing counts in."""
    return time.time_ns() // 1000

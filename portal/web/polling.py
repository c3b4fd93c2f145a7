"""How often a page looks again: eager at first, patient later."""

_INTERVALS = ((60_000, 2), (600_000, 5), (3_600_000, 15))
_MAX_INTERVAL_SECONDS = 60


def poll_interval_seconds(age_ms: int) -> int:
    return next((seconds for until_ms, seconds in _INTERVALS if age_ms < until_ms), _MAX_INTERVAL_SECONDS)

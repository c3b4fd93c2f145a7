"""How often a page looks again: eager at first, patient later."""

_PACE = ((60_000, 2), (600_000, 5), (3_600_000, 15))
_SLOWEST_SECONDS = 60


def seconds_until_next_look(age_ms: int) -> int:
    return next((seconds for until_ms, seconds in _PACE if age_ms < until_ms), _SLOWEST_SECONDS)

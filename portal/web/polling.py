"""How often a page polls: more often while its subject is new."""

_SECONDS_BY_MAX_AGE_MS = ((60_000, 2), (600_000, 5), (3_600_000, 15))
_MAX_INTERVAL_SECONDS = 60
LIVE_INTERVAL_SECONDS = 5
"""For what may change at any time, such as by a STOP; an unchanged answer must cost next to nothing."""


def poll_interval_seconds(age_ms: int) -> int:
    return next(
        (seconds for max_age_ms, seconds in _SECONDS_BY_MAX_AGE_MS if age_ms < max_age_ms), _MAX_INTERVAL_SECONDS
    )

"""When a provider answers nothing for a while, texts stop going out to it: each would become one more in doubt."""

from collections.abc import Iterable

OPENS_AFTER = 8
"""So many calls in a row without an answer. At a fault rate of 20 % that happens once in 400,000 texts."""
REST_US = 60_000_000
"""Then one text a minute probes the provider until it answers (docs/reliability.md#circuit-breaker)."""
AWAY_AFTER_MS = 30_000
"""A provider that was silent, or out of reach, for less was busy for a moment."""
GIVEN_BACK_US = 5_000_000
"""When the one text to try with was given back untried, another is tried so soon."""


def away_since_ms(since_ms: int | None, failures: int, unreached: bool, now_ms: int) -> int | None:
    """Since when a provider has been away, after calls of which it answered none, or which did not even reach it."""
    return since_ms or now_ms if unreached or failures >= OPENS_AFTER else since_ms


def failures_after(failures: int, answered: Iterable[bool]) -> int:
    """How many calls in a row were not answered, after these in order."""
    for good in answered:
        failures = 0 if good else failures + 1
    return failures


def rests_until_us(failures: int, now_us: int) -> int:
    """Until when nothing is tried; 0 while the provider answers. At most one text is tried at that time."""
    return now_us + REST_US if failures >= OPENS_AFTER else 0

"""When a provider answers nothing for a while, texts stop going out to it: each would become one more in doubt."""

from collections.abc import Iterable

PROVIDER_FAILURE_THRESHOLD = 8
"""So many calls in a row without an answer. At a fault rate of 20 % that happens once in 400,000 texts."""
PROBE_INTERVAL_US = 60_000_000
"""Then one text a minute probes the provider until it answers (docs/reliability.md#circuit-breaker)."""
UNSENT_PROBE_RETRY_US = 5_000_000
"""When the one text to try with was given back untried, another is tried so soon."""


def outage_started_ms(since_ms: int | None, failures: int, was_unreachable: bool, now_ms: int) -> int | None:
    """Since when a provider has been away, after calls of which it answered none, or which did not even reach it."""
    return since_ms or now_ms if was_unreachable or failures >= PROVIDER_FAILURE_THRESHOLD else since_ms


def count_unanswered_calls(failures: int, answered: Iterable[bool]) -> int:
    """How many calls in a row were not answered, after these in order."""
    for good in answered:
        failures = 0 if good else failures + 1
    return failures


def next_probe_us(failures: int, now_us: int) -> int:
    """Until when nothing is tried; 0 while the provider answers. At most one text is tried at that time."""
    return now_us + PROBE_INTERVAL_US if failures >= PROVIDER_FAILURE_THRESHOLD else 0

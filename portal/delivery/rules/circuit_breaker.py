"""Stop sending texts while a provider does not answer: each one would end with an unknown outcome."""

from collections.abc import Iterable

PROVIDER_FAILURE_THRESHOLD = 8
"""Unanswered calls in a row. At a fault rate of 20 % this happens once in 400,000 texts."""
PROBE_INTERVAL_US = 60_000_000
"""Then one text a minute probes the provider until it answers (docs/reliability.md#circuit-breaker)."""
UNSENT_PROBE_RETRY_US = 5_000_000
"""Delay before the next probe if the previous one was released unsent."""


def outage_started_ms(since_ms: int | None, failures: int, was_unreachable: bool, now_ms: int) -> int | None:
    """Start of the provider’s outage, after calls that it never answered or that did not reach it; else None."""
    return since_ms or now_ms if was_unreachable or failures >= PROVIDER_FAILURE_THRESHOLD else since_ms


def count_unanswered_calls(failures: int, answered: Iterable[bool]) -> int:
    """Consecutive unanswered calls, after these in order."""
    for was_answered in answered:
        failures = 0 if was_answered else failures + 1
    return failures


def next_probe_us(failures: int, now_us: int) -> int:
    """Time of the next probe; 0 while the provider answers."""
    return now_us + PROBE_INTERVAL_US if failures >= PROVIDER_FAILURE_THRESHOLD else 0

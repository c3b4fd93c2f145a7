"""Stop sending while a provider or mail server fails: then a single message at a time probes it.

Each text that a provider does not answer ends with an unknown outcome (docs/reliability.md#circuit-breaker).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from portal.delivery.rules.backoff import backoff_ms

UNSENT_PROBE_RETRY_US = 5_000_000
"""Delay before the next probe if the previous text was released unsent."""


class Signal(Enum):
    """What an outcome says about the other end: it works, may be failing, is down, or nothing."""

    WORKS = "works"
    FAILING = "failing"
    DOWN = "down"
    NONE = "none"


@dataclass(frozen=True)
class CircuitBreaker:
    """Open after `threshold` failures in a row. `probe_seconds` are the waits before the first probe and the next."""

    threshold: int
    probe_seconds: tuple[int, ...]

    def is_open(self, failures: int) -> bool:
        return failures >= self.threshold

    def count_failures(self, failures: int, signals: Iterable[Signal]) -> int:
        """Consecutive failures, after these signals in order. `DOWN` reaches the threshold at once."""
        for signal in signals:
            if signal is Signal.WORKS:
                failures = 0
            elif signal is Signal.FAILING:
                failures += 1
            elif signal is Signal.DOWN:
                failures = max(failures + 1, self.threshold)
        return failures

    def probe_delay_ms(self, failures: int) -> int:
        """Time until the next probe; 0 while closed."""
        return backoff_ms(self.probe_seconds, failures - self.threshold + 1) if self.is_open(failures) else 0


SMS_BREAKER = CircuitBreaker(threshold=8, probe_seconds=(60,))
"""At a fault rate of 20 %, eight unanswered calls in a row happen once in 400,000 texts."""
SMTP_BREAKER = CircuitBreaker(threshold=10, probe_seconds=(10, 30, 60, 120, 300))
"""Emails in a row that failed for reasons of the server, not their own."""


def outage_started_ms(since_ms: int | None, failures: int, was_unreachable: bool, now_ms: int) -> int | None:
    """Start of the provider’s outage, after calls that it never answered or that did not reach it; else None."""
    return since_ms or now_ms if was_unreachable or SMS_BREAKER.is_open(failures) else since_ms

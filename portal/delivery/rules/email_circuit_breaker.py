"""While the mail server is down or refuses everybody’s mail, probe it with one email at a time."""

from collections.abc import Iterable
from enum import Enum

SMTP_FAILURE_THRESHOLD = 10
"""Emails in a row that failed for reasons of the server, not their own."""
_BACKOFF_SECONDS = (10, 30, 60, 120, 300)


class ServerSignal(Enum):
    """What an email’s outcome says about the server: it works, may be failing, is down, or nothing."""

    WORKS = "works"
    FAILING = "failing"
    DOWN = "down"
    NONE = "none"


def count_smtp_failures(failures: int, signals: Iterable[ServerSignal]) -> int:
    """Consecutive failures, after these signals in order. A server that is down reaches the threshold at once."""
    for signal in signals:
        if signal is ServerSignal.WORKS:
            failures = 0
        elif signal is ServerSignal.FAILING:
            failures += 1
        elif signal is ServerSignal.DOWN:
            failures = max(failures + 1, SMTP_FAILURE_THRESHOLD)
    return failures


def smtp_cooldown_ms(failures: int) -> int:
    """Time until the next probe, longer each time; 0 while the server works."""
    if failures < SMTP_FAILURE_THRESHOLD:
        return 0
    return _BACKOFF_SECONDS[min(failures - SMTP_FAILURE_THRESHOLD, len(_BACKOFF_SECONDS) - 1)] * 1000

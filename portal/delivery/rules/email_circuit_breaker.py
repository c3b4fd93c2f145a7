"""When a mail server is away, or takes no mail of anybody, one mail in a while is tried instead of every mail."""

from collections.abc import Iterable
from enum import Enum

SMTP_FAILURE_THRESHOLD = 10
"""So many mails in a row that were not taken, each for a reason that is not its own."""
_BACKOFF_SECONDS = (10, 30, 60, 120, 300)


class ServerSignal(Enum):
    """What a mail's outcome says of the server: it works, it may not, it is certainly away, or nothing at all."""

    WORKS = "works"
    FAILING = "failing"
    DOWN = "down"
    NONE = "none"


def count_smtp_failures(failures: int, signs: Iterable[ServerSignal]) -> int:
    """How many mails in a row were not taken, after these in order. A server that is away needs no second look."""
    for sign in signs:
        if sign is ServerSignal.WORKS:
            failures = 0
        elif sign is ServerSignal.FAILING:
            failures += 1
        elif sign is ServerSignal.DOWN:
            failures = max(failures + 1, SMTP_FAILURE_THRESHOLD)
    return failures


def smtp_cooldown_ms(failures: int) -> int:
    """How long nothing is tried, longer each time; 0 while the server works. Then one mail is tried."""
    if failures < SMTP_FAILURE_THRESHOLD:
        return 0
    return _BACKOFF_SECONDS[min(failures - SMTP_FAILURE_THRESHOLD, len(_BACKOFF_SECONDS) - 1)] * 1000

"""When a mail server is away, or takes no mail of anybody, one mail in a while is tried instead of every mail."""

from collections.abc import Iterable
from enum import Enum

OPENS_AFTER = 10
"""So many mails in a row that were not taken, each for a reason that is not its own."""
_RESTS_SECONDS = (10, 30, 60, 120, 300)


class Sign(Enum):
    """What a mail's outcome says of the server: it works, it may not, it is certainly away, or nothing at all."""

    WORKS = "works"
    TROUBLE = "trouble"
    AWAY = "away"
    NONE = "none"


def failures_after(failures: int, signs: Iterable[Sign]) -> int:
    """How many mails in a row were not taken, after these in order. A server that is away needs no second look."""
    for sign in signs:
        if sign is Sign.WORKS:
            failures = 0
        elif sign is Sign.TROUBLE:
            failures += 1
        elif sign is Sign.AWAY:
            failures = max(failures + 1, OPENS_AFTER)
    return failures


def rest_ms(failures: int) -> int:
    """How long nothing is tried, longer each time; 0 while the server works. Then one mail is tried."""
    if failures < OPENS_AFTER:
        return 0
    return _RESTS_SECONDS[min(failures - OPENS_AFTER, len(_RESTS_SECONDS) - 1)] * 1000

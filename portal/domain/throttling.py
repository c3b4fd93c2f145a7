"""How long to wait after how many tries (RELIABILITY.md 3.2): a few are free, then each costs twice the last."""

FREE_TRIES = {"name": 5, "address": 20, "reset": 0}
"""By kind: wrong passwords for one name, from one address; reset mails for one account."""

FORGET_AFTER_MS = 3_600_000
_FIRST_WAIT_MS = {"name": 2_000, "address": 2_000, "reset": 300_000}
_LONGEST_WAIT_MS = 900_000


def wait_ms(kind: str, times: int, last_at_ms: int, now_ms: int) -> int:
    """Milliseconds to wait from now; 0 when the next try may come."""
    over = times - FREE_TRIES[kind]
    if over <= 0 or now_ms - last_at_ms > FORGET_AFTER_MS:
        return 0
    wait = min(_LONGEST_WAIT_MS, _FIRST_WAIT_MS[kind] << min(over - 1, 20))
    return max(0, last_at_ms + wait - now_ms)

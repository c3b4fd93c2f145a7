"""Counting tries, so that nobody can guess passwords or fill a mailbox."""

import hashlib

from portal.actions.transaction import transaction
from portal.domain import throttling
from portal.models.throttle import Throttle, counted, forget, forget_before


def sign_in_keys(name: str, address: str) -> list[str]:
    """What a try is counted under; the name is hashed, since it may be anything that was typed."""
    hashed = hashlib.sha256(name.strip().lower().encode()).hexdigest()[:32]
    return [f"name:{hashed}", f"address:{address}"]


def reset_keys(account_id: int) -> list[str]:
    return [f"reset:{account_id}"]


def wait_ms(keys: list[str], now_ms: int) -> int:
    """The longest wait of all that is counted."""
    waits = [throttling.wait_ms(_kind(row.key), row.times, row.last_at_ms, now_ms) for row in counted(keys)]
    return max(waits, default=0)


def note(keys: list[str], now_ms: int) -> None:
    """One more try."""
    with transaction() as session:
        forget_before(now_ms - throttling.FORGET_AFTER_MS)
        known = {row.key: row for row in counted(keys)}
        for key in keys:
            row = known.get(key) or Throttle(key=key, times=0)
            row.times, row.last_at_ms = row.times + 1, now_ms
            session.add(row)


def clear(keys: list[str]) -> None:
    with transaction():
        forget(keys)


def _kind(key: str) -> str:
    return key.partition(":")[0]

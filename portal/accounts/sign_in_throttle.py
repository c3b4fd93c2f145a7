"""Count attempts, so that nobody can guess passwords or flood a mailbox."""

import hashlib
import hmac
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain

from portal.accounts.rules import throttle_policy
from portal.accounts.tables import throttle_counters
from portal.accounts.tables.throttle_counters import ThrottleCounter
from portal.core.context import settings
from portal.core.transaction import transaction


@dataclass(frozen=True)
class ThrottleResult:
    """Indexes of the groups that may be tried now; if none may, how long to wait."""

    allowed: tuple[int, ...]
    retry_after_ms: int


def throttle_key(kind: str, *parts: object) -> str:
    """A counter's key. Names and addresses are stored only as a keyed hash."""
    return f"{kind}:{keyed_hashes(kind, *parts)[0]}"


def keyed_hashes(*parts: object) -> list[str]:
    """By the newest key, then by older ones. Counters begin anew with a new key: they live for an hour only."""
    text = repr(("throttle", *map(str, parts))).encode()
    return [hmac.new(key.encode(), text, hashlib.sha256).hexdigest()[:32] for key in settings().secret_keys]


def count_attempt(shared: Sequence[str], groups: Sequence[Sequence[str]], now_ms: int) -> ThrottleResult:
    """Count an attempt before it is made: under the shared keys, and under the keys of every allowed group.

    Checking and counting share one transaction, so that concurrent attempts cannot all use the last free one.
    An attempt that has to wait is not counted.
    """
    with transaction() as session:
        throttle_counters.lock_counters()
        throttle_counters.delete_counters_before(now_ms - throttle_policy.COUNTER_LIFETIME_MS)
        counters = throttle_counters.find_counters({*shared, *chain.from_iterable(groups)})
        shared_backoff_ms = _backoff_ms(shared, counters, now_ms)
        backoffs_ms = [max(shared_backoff_ms, _backoff_ms(keys, counters, now_ms)) for keys in groups]
        allowed = tuple(index for index, backoff_ms in enumerate(backoffs_ms) if not backoff_ms)
        if allowed:
            keys = {*shared, *chain.from_iterable(_keys_to_count(groups[index], counters) for index in allowed)}
            session.add_all(_increment(counters, keys, now_ms))
            session.flush()
            throttle_counters.delete_oldest_counters(throttle_policy.MAX_COUNTERS)
    return ThrottleResult(allowed, 0 if allowed else min(backoffs_ms))


def refund_attempt(keys: Collection[str]) -> None:
    """Take back an attempt that was not made after all."""
    with transaction():
        throttle_counters.lock_counters()
        throttle_counters.decrement_counters(keys)


def _increment(counters: dict[str, ThrottleCounter], keys: Collection[str], now_ms: int) -> list[ThrottleCounter]:
    rows = [counters.get(key) or ThrottleCounter(key=key, count=0) for key in sorted(keys)]
    for row in rows:
        row.count, row.last_attempt_at_ms = row.count + 1, now_ms
    return rows


def _backoff_ms(keys: Sequence[str], counters: dict[str, ThrottleCounter], now_ms: int) -> int:
    rows = [counters[key] for key in keys if key in counters]
    return max(
        (throttle_policy.backoff_ms(_kind(row.key), row.count, row.last_attempt_at_ms, now_ms) for row in rows),
        default=0,
    )


def _keys_to_count(keys: Sequence[str], counters: dict[str, ThrottleCounter]) -> list[str]:
    """A single address must not lock an account out for all the others, so its later attempts do not count there."""
    count = next((counters[key].count for key in keys if _kind(key) == "name" and key in counters), 0)
    return [key for key in keys if _kind(key) != "account" or count < throttle_policy.FREE_ATTEMPTS["name"]]


def _kind(key: str) -> str:
    return key.partition(":")[0]

"""Counting tries, so that nobody can guess passwords or fill a mailbox."""

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
    """Which of the groups may be tried now, by place; when none may, how long to wait."""

    allowed: tuple[int, ...]
    retry_after_ms: int


def throttle_key(kind: str, *parts: object) -> str:
    """A counter's key: what was typed, or an address, stands there as a keyed hash only, and is never long."""
    return f"{kind}:{keyed_hash(kind, *parts)}"


def keyed_hash(*parts: object) -> str:
    secret = settings().secret_key.encode()
    return hmac.new(secret, repr(("throttle", *map(str, parts))).encode(), hashlib.sha256).hexdigest()[:32]


def count_attempt(shared: Sequence[str], groups: Sequence[Sequence[str]], now_ms: int) -> ThrottleResult:
    """Count a try before it is made: under the shared keys, and under those of every group that is open.

    Looking and counting are one transaction, so tries that come together cannot all find the last free one.
    A try that has to wait is not counted.
    """
    with transaction() as session:
        throttle_counters.lock_counters()
        throttle_counters.delete_counters_before(now_ms - throttle_policy.COUNTER_LIFETIME_MS)
        known = throttle_counters.find_counters({*shared, *chain.from_iterable(groups)})
        first = _backoff_ms(shared, known, now_ms)
        waits = [max(first, _backoff_ms(keys, known, now_ms)) for keys in groups]
        free = tuple(place for place, wait in enumerate(waits) if not wait)
        if free:
            counting = {*shared, *chain.from_iterable(_keys_to_count(groups[place], known) for place in free)}
            session.add_all(_increment(known, counting, now_ms))
            session.flush()
            throttle_counters.delete_oldest_counters(throttle_policy.MAX_COUNTERS)
    return ThrottleResult(free, 0 if free else min(waits))


def refund_attempt(keys: Collection[str]) -> None:
    """A try that turned out to be none."""
    with transaction():
        throttle_counters.lock_counters()
        throttle_counters.decrement_counters(keys)


def _increment(known: dict[str, ThrottleCounter], keys: Collection[str], now_ms: int) -> list[ThrottleCounter]:
    rows = [known.get(key) or ThrottleCounter(key=key, count=0) for key in sorted(keys)]
    for row in rows:
        row.count, row.last_attempt_at_ms = row.count + 1, now_ms
    return rows


def _backoff_ms(keys: Sequence[str], known: dict[str, ThrottleCounter], now_ms: int) -> int:
    rows = [known[key] for key in keys if key in known]
    return max(
        (throttle_policy.backoff_ms(_kind(row.key), row.count, row.last_attempt_at_ms, now_ms) for row in rows),
        default=0,
    )


def _keys_to_count(keys: Sequence[str], known: dict[str, ThrottleCounter]) -> list[str]:
    from_here = next((known[key].count for key in keys if _kind(key) == "name" and key in known), 0)
    return [key for key in keys if _kind(key) != "account" or throttle_policy.counts_toward_account(from_here)]


def _kind(key: str) -> str:
    return key.partition(":")[0]

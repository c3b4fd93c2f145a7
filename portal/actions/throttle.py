"""Counting tries, so that nobody can guess passwords or fill a mailbox."""

import hashlib
import hmac
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain

from portal.actions.transaction import transaction
from portal.context import settings
from portal.domain import throttling
from portal.models import throttle
from portal.models.throttle import Throttle


@dataclass(frozen=True)
class Taken:
    """Which of the groups may be tried now, by place; when none may, how long to wait."""

    open: tuple[int, ...]
    wait_ms: int


def key_of(kind: str, *parts: object) -> str:
    """A counter's key: what was typed, or an address, stands there as a keyed hash only, and is never long."""
    return f"{kind}:{hashed(kind, *parts)}"


def hashed(*parts: object) -> str:
    secret = settings().secret_key.encode()
    return hmac.new(secret, repr(("throttle", *map(str, parts))).encode(), hashlib.sha256).hexdigest()[:32]


def take(shared: Sequence[str], groups: Sequence[Sequence[str]], now_ms: int) -> Taken:
    """Count a try before it is made: under the shared keys, and under those of every group that is open.

    Looking and counting are one transaction, so tries that come together cannot all find the last free one.
    A try that has to wait is not counted.
    """
    with transaction() as session:
        throttle.lock()
        throttle.forget_before(now_ms - throttling.FORGET_AFTER_MS)
        known = throttle.counted({*shared, *chain.from_iterable(groups)})
        first = _wait_ms(shared, known, now_ms)
        waits = [max(first, _wait_ms(keys, known, now_ms)) for keys in groups]
        free = tuple(place for place, wait in enumerate(waits) if not wait)
        if free:
            counting = {*shared, *chain.from_iterable(_counting(groups[place], known) for place in free)}
            session.add_all(_one_more(known, counting, now_ms))
            session.flush()
            throttle.keep_newest(throttling.MOST_COUNTERS)
    return Taken(free, 0 if free else min(waits))


def give_back(keys: Collection[str]) -> None:
    """A try that turned out to be none."""
    with transaction():
        throttle.lock()
        throttle.give_back(keys)


def _one_more(known: dict[str, Throttle], keys: Collection[str], now_ms: int) -> list[Throttle]:
    rows = [known.get(key) or Throttle(key=key, times=0) for key in sorted(keys)]
    for row in rows:
        row.times, row.last_at_ms = row.times + 1, now_ms
    return rows


def _wait_ms(keys: Sequence[str], known: dict[str, Throttle], now_ms: int) -> int:
    rows = [known[key] for key in keys if key in known]
    return max((throttling.wait_ms(_kind(row.key), row.times, row.last_at_ms, now_ms) for row in rows), default=0)


def _counting(keys: Sequence[str], known: dict[str, Throttle]) -> list[str]:
    from_here = next((known[key].times for key in keys if _kind(key) == "name" and key in known), 0)
    return [key for key in keys if _kind(key) != "account" or throttling.counts_for_account(from_here)]


def _kind(key: str) -> str:
    return key.partition(":")[0]

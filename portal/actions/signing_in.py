"""Who may enter with a name and a password: counted before anything is hashed, and told alike whoever exists."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import structlog

from portal.actions import throttle
from portal.actions.errors import Busy
from portal.actions.passwords import is_password, strengthen
from portal.actions.transaction import transaction
from portal.domain.sign_in_names import normalised
from portal.domain.throttling import network_of
from portal.extensions import db
from portal.models import known_address
from portal.models import throttle as counters
from portal.models.account import Account, by_sign_in_name, most_of_one_email

_NOBODY = 0
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Caller:
    """`device` is what its cookie names, and `knows` the accounts that were signed in to with it."""

    address: str
    device: str = ""
    knows: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Proven:
    """The accounts that this password opens, oldest first; or how long to wait before the next try."""

    accounts: tuple[int, ...] = ()
    wait_ms: int = 0


@dataclass(frozen=True)
class _Candidate:
    account_id: int
    password: str | None
    keys: tuple[str, ...]


def prove(name: str, password: str, caller: Caller, now_ms: int) -> Proven:
    """Raises `Busy`, with the try given back, when the process has too much to hash."""
    candidates, hashes = _candidates(name, caller, now_ms)
    shared = [] if any(_by_device(candidate) for candidate in candidates) else [_address_key(caller)]
    taken = throttle.take(shared, [candidate.keys for candidate in candidates], now_ms)
    if not taken.open:
        return Proven(wait_ms=taken.wait_ms)
    free = [candidates[place] for place in taken.open]
    try:
        opened = _opened(free, password, hashes)
        for candidate in opened:
            strengthen(candidate.account_id, password, candidate.password)
    except Busy:
        throttle.give_back({*shared, *(key for candidate in free for key in candidate.keys)})
        raise
    _settle(opened, shared, caller, now_ms)
    _log.info("sign-in", opened=len(opened), outcome="right password" if opened else "wrong name or password")
    return Proven(tuple(candidate.account_id for candidate in opened))


def _candidates(name: str, caller: Caller, now_ms: int) -> tuple[list[_Candidate], int]:
    """Whom the name may mean, and how many hashes are computed whoever it means, so that their time tells nothing.

    An unknown name is counted as an account would be.
    """
    accounts = by_sign_in_name(name)
    known = known_address.knowing([account.id for account in accounts], _address_hash(caller), now_ms)
    hashes = max(len(accounts), most_of_one_email())
    found = [
        _Candidate(account.id, account.password if account.active else None, _keys(account, caller, known))
        for account in accounts
    ] or [_Candidate(_NOBODY, None, _keys_from_outside(("unknown", normalised(name)), caller))]
    db.session.rollback()  # hashing takes its time, and a connection is not held meanwhile
    return found, hashes


def _keys(account: Account, caller: Caller, known: Collection[int]) -> tuple[str, ...]:
    """A known device, else a known address, is counted for itself: what strangers try does not close it."""
    if account.id in caller.knows:
        return (throttle.key_of("device", account.id, caller.device),)
    from_outside = _keys_from_outside(("account", account.id), caller)
    return from_outside[:1] if account.id in known else from_outside


def _keys_from_outside(subject: tuple[object, ...], caller: Caller) -> tuple[str, ...]:
    return throttle.key_of("name", *subject, network_of(caller.address)), throttle.key_of("account", *subject)


def _address_key(caller: Caller) -> str:
    return throttle.key_of("address", network_of(caller.address))


def _address_hash(caller: Caller) -> str:
    return throttle.hashed("known address", network_of(caller.address))


def _by_device(candidate: _Candidate) -> bool:
    return candidate.keys[0].startswith("device:")


def _opened(candidates: Sequence[_Candidate], password: str, hashes: int) -> list[_Candidate]:
    """Every try costs the same number of hashes."""
    padding: list[_Candidate | None] = [None] * (hashes - len(candidates))
    checked = [(found, is_password(password, found.password if found else None)) for found in [*candidates, *padding]]
    return [candidate for candidate, right in checked if candidate is not None and right]


def _settle(opened: Sequence[_Candidate], shared: Sequence[str], caller: Caller, now_ms: int) -> None:
    """An account's own success forgets what was counted for it on this way, and only that."""
    if not opened:
        return
    with transaction():
        counters.lock()
        counters.forget({key for candidate in opened for key in candidate.keys})
        counters.give_back(shared)
        for candidate in opened:
            known_address.remember(candidate.account_id, _address_hash(caller), now_ms)

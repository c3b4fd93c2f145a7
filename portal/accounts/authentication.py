"""Who may enter with a name and a password: counted before anything is hashed, and told alike whoever exists."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import structlog

from portal.accounts import sign_in_throttle
from portal.accounts.passwords import password_matches, rehash_if_outdated
from portal.accounts.rules.sign_in_names import normalise_sign_in_name
from portal.accounts.rules.throttle_policy import client_network
from portal.accounts.tables import known_addresses
from portal.accounts.tables import throttle_counters as counters
from portal.accounts.tables.accounts import Account, find_by_sign_in_name, most_accounts_per_email
from portal.core.errors import Busy
from portal.core.extensions import db
from portal.core.transaction import transaction

_UNKNOWN_ACCOUNT_ID = 0
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class SignInClient:
    """`device` is what its cookie names, and `knows` the accounts that were signed in to with it."""

    address: str
    device_id: str = ""
    known_account_ids: frozenset[int] = frozenset()


@dataclass(frozen=True)
class AuthenticationResult:
    """The accounts that this password opens, oldest first; or how long to wait before the next try."""

    account_ids: tuple[int, ...] = ()
    retry_after_ms: int = 0


@dataclass(frozen=True)
class _Candidate:
    account_id: int
    password: str | None
    counter_keys: tuple[str, ...]


def authenticate(name: str, password: str, caller: SignInClient, now_ms: int) -> AuthenticationResult:
    """Raises `Busy`, with the try given back, when the process has too much to hash."""
    candidates, hashes = _candidates(name, caller, now_ms)
    shared = [] if any(_is_known_device(candidate) for candidate in candidates) else [_client_address_key(caller)]
    taken = sign_in_throttle.count_attempt(shared, [candidate.counter_keys for candidate in candidates], now_ms)
    if not taken.allowed:
        return AuthenticationResult(retry_after_ms=taken.retry_after_ms)
    free = [candidates[place] for place in taken.allowed]
    try:
        opened = _matching_candidates(free, password, hashes)
        for candidate in opened:
            rehash_if_outdated(candidate.account_id, password, candidate.password)
    except Busy:
        sign_in_throttle.refund_attempt({*shared, *(key for candidate in free for key in candidate.counter_keys)})
        raise
    _record_success(opened, shared, caller, now_ms)
    _log.info(
        "sign_in_attempt",
        matched_accounts=len(opened),
        outcome="right password" if opened else "wrong name or password",
    )
    return AuthenticationResult(tuple(candidate.account_id for candidate in opened))


def _candidates(name: str, caller: SignInClient, now_ms: int) -> tuple[list[_Candidate], int]:
    """Whom the name may mean, and how many hashes are computed whoever it means, so that their time tells nothing.

    An unknown name is counted as an account would be.
    """
    accounts = find_by_sign_in_name(name)
    known = known_addresses.accounts_known_at([account.id for account in accounts], _address_hash(caller), now_ms)
    hashes = max(len(accounts), most_accounts_per_email())
    found = [
        _Candidate(account.id, account.password if account.active else None, _counter_keys(account, caller, known))
        for account in accounts
    ] or [_Candidate(_UNKNOWN_ACCOUNT_ID, None, _stranger_keys(("unknown", normalise_sign_in_name(name)), caller))]
    db.session.rollback()  # hashing takes its time, and a connection is not held meanwhile
    return found, hashes


def _counter_keys(account: Account, caller: SignInClient, known: Collection[int]) -> tuple[str, ...]:
    """A known device, else a known address, is counted for itself: what strangers try does not close it."""
    if account.id in caller.known_account_ids:
        return (sign_in_throttle.throttle_key("device", account.id, caller.device_id),)
    from_outside = _stranger_keys(("account", account.id), caller)
    return from_outside[:1] if account.id in known else from_outside


def _stranger_keys(subject: tuple[object, ...], caller: SignInClient) -> tuple[str, ...]:
    return sign_in_throttle.throttle_key(
        "name", *subject, client_network(caller.address)
    ), sign_in_throttle.throttle_key("account", *subject)


def _client_address_key(caller: SignInClient) -> str:
    return sign_in_throttle.throttle_key("address", client_network(caller.address))


def _address_hash(caller: SignInClient) -> str:
    return sign_in_throttle.keyed_hash("known address", client_network(caller.address))


def _is_known_device(candidate: _Candidate) -> bool:
    return candidate.counter_keys[0].startswith("device:")


def _matching_candidates(candidates: Sequence[_Candidate], password: str, hashes: int) -> list[_Candidate]:
    """Every try costs the same number of hashes."""
    padding: list[_Candidate | None] = [None] * (hashes - len(candidates))
    checked = [
        (found, password_matches(password, found.password if found else None)) for found in [*candidates, *padding]
    ]
    return [candidate for candidate, right in checked if candidate is not None and right]


def _record_success(opened: Sequence[_Candidate], shared: Sequence[str], caller: SignInClient, now_ms: int) -> None:
    """An account's own success forgets what was counted for it on this way, and only that."""
    if not opened:
        return
    with transaction():
        counters.lock_counters()
        counters.delete_counters({key for candidate in opened for key in candidate.counter_keys})
        counters.decrement_counters(shared)
        for candidate in opened:
            known_addresses.remember_address(candidate.account_id, _address_hash(caller), now_ms)

"""Check a sign-in name and password.

Each attempt is counted before anything is hashed. The response and its timing never reveal whether an account exists.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import select, update

from portal.accounts import sign_in_records, sign_in_throttle
from portal.accounts.password_hashing import hashing_for
from portal.accounts.passwords import password_matches, rehash_if_outdated
from portal.accounts.rules.sign_in_names import normalise_sign_in_name
from portal.accounts.rules.throttle_policy import client_network
from portal.accounts.sign_in_throttle import throttle_key
from portal.accounts.tables import known_addresses
from portal.accounts.tables import throttle_counters as counters
from portal.accounts.tables.accounts import Account, find_by_sign_in_name, most_accounts_per_email
from portal.core.errors import Busy
from portal.core.extensions import db, security
from portal.core.transaction import transaction

_UNKNOWN_ACCOUNT_ID = 0
_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class SignInClient:
    """`device_id` comes from the device cookie; `known_account_ids` have signed in on that device before."""

    address: str
    device_id: str = ""
    known_account_ids: Collection[int] = ()

    @property
    def network(self) -> str:
        return client_network(self.address)

    @property
    def address_hashes(self) -> list[str]:
        return sign_in_throttle.keyed_hashes("known address", self.network)


@dataclass(frozen=True)
class AuthenticationResult:
    """The accounts that the password matches, oldest first, or how long to wait before the next attempt."""

    account_ids: tuple[int, ...] = ()
    retry_after_ms: int = 0


@dataclass(frozen=True)
class _Candidate:
    account_id: int
    password: str | None
    counter_keys: tuple[str, ...]


def authenticate(name: str, password: str, client: SignInClient, now_ms: int) -> AuthenticationResult:
    """Raises `Busy` if too many hashes are already waiting; the attempt is not counted then."""
    if not client.known_account_ids:
        security.pwd_context.require_room()
    candidates, hash_count = _find_candidates(name, client, now_ms)
    is_known_device = any(candidate.counter_keys[0].startswith("device:") for candidate in candidates)
    with hashing_for(is_known_device):
        shared_keys = [] if is_known_device else [throttle_key("address", client.network)]
        throttle = sign_in_throttle.count_attempt(shared_keys, [each.counter_keys for each in candidates], now_ms)
        if not throttle.allowed:
            return AuthenticationResult(retry_after_ms=throttle.retry_after_ms)
        allowed = [candidates[index] for index in throttle.allowed]
        matched = _hash_in_turn(allowed, shared_keys, password, hash_count)
    _record_success(matched, shared_keys, client, now_ms)
    if not matched:
        sign_in_records.count_failed_sign_in({each.account_id for each in allowed}, client.address, now_ms)
    _log.info("sign-in attempted", matched_accounts=len(matched))
    return AuthenticationResult(tuple(candidate.account_id for candidate in matched))


def _hash_in_turn(
    allowed: Sequence[_Candidate], shared_keys: Sequence[str], password: str, hash_count: int
) -> list[_Candidate]:
    """The candidates that the password matches. Raises `Busy`, and takes the attempt back."""
    try:
        matched = _without_replaced(_matching_candidates(allowed, password, hash_count))
        for candidate in matched:
            rehash_if_outdated(candidate.account_id, password, candidate.password)
    except Busy:
        sign_in_throttle.refund_attempt({*shared_keys, *(key for each in allowed for key in each.counter_keys)})
        raise
    return matched


def _without_replaced(matched: Sequence[_Candidate]) -> list[_Candidate]:
    """Without those whose password was replaced while it was compared: that has ended all their sessions."""
    if not matched:
        return []
    query = select(Account.id, Account.password).where(Account.id.in_([each.account_id for each in matched]))
    stored = {account_id: password for account_id, password in db.session.execute(query)}
    db.session.rollback()
    return [each for each in matched if stored.get(each.account_id) == each.password]


def record_sign_in(account_id: int, now_ms: int) -> bool:
    """Whether the account has signed in before."""
    of_account = Account.id == account_id
    with transaction() as session:
        before_ms = session.scalar(select(Account.signed_in_at_ms).where(of_account))
        session.execute(update(Account).where(of_account).values(signed_in_at_ms=now_ms))
    return before_ms is not None


def _find_candidates(name: str, client: SignInClient, now_ms: int) -> tuple[list[_Candidate], int]:
    """The accounts that the name may mean, and the number of hashes to compute.

    That number is the same for every name, so that the response time reveals nothing. An unknown name is counted like
    an account.
    """
    accounts = find_by_sign_in_name(name)
    known = known_addresses.accounts_known_at([account.id for account in accounts], client.address_hashes, now_ms)
    hash_count = max(len(accounts), most_accounts_per_email())
    candidates = [
        _Candidate(account.id, account.password if account.active else None, _counter_keys(account, client, known))
        for account in accounts
    ] or [_Candidate(_UNKNOWN_ACCOUNT_ID, None, _stranger_keys(("unknown", normalise_sign_in_name(name)), client))]
    db.session.rollback()  # do not hold a database connection while hashing
    return candidates, hash_count


def _counter_keys(account: Account, client: SignInClient, known: Collection[int]) -> tuple[str, ...]:
    """A known device or address has its own counter, so attempts by strangers cannot lock it out."""
    if account.id in client.known_account_ids:
        return (throttle_key("device", account.id, client.device_id),)
    stranger_keys = _stranger_keys(("account", account.id), client)
    return stranger_keys[:1] if account.id in known else stranger_keys


def _stranger_keys(subject: tuple[object, ...], client: SignInClient) -> tuple[str, ...]:
    return throttle_key("name", *subject, client.network), throttle_key("account", *subject)


def _matching_candidates(candidates: Sequence[_Candidate], password: str, hash_count: int) -> list[_Candidate]:
    """Compute `hash_count` hashes in any case: dummies make up for missing candidates."""
    padding: list[_Candidate | None] = [None] * (hash_count - len(candidates))
    results = [(each, password_matches(password, each.password if each else None)) for each in [*candidates, *padding]]
    return [candidate for candidate, matches in results if candidate is not None and matches]


def _record_success(
    matched: Sequence[_Candidate], shared_keys: Sequence[str], client: SignInClient, now_ms: int
) -> None:
    """Reset the matched accounts' own counters, and take this attempt off the shared ones."""
    if not matched:
        return
    with transaction():
        counters.lock_counters()
        counters.delete_counters({key for candidate in matched for key in candidate.counter_keys})
        counters.decrement_counters(shared_keys)
        for candidate in matched:
            known_addresses.remember_address(candidate.account_id, client.address_hashes[0], now_ms)

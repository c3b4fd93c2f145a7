"""Recovery codes: make a set, and use one instead of the second factor."""

import secrets
from collections.abc import Mapping, Sequence

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from portal.accounts.tables.accounts import Account
from portal.authentication.rules.recovery_code_format import new_codes, selector_of, typed_code, written_code
from portal.authentication.tables.recovery_codes import (
    count_recovery_codes,
    find_code_hash,
    replace_recovery_codes,
    use_code_hash,
)
from portal.core import audit_log
from portal.core.extensions import db
from portal.core.transaction import transaction

_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""Argon2id with less work than a password gets: codes are random, and ten of them are hashed at once."""


def missing_codes(account_id: int) -> list[str]:
    """New codes, as they are written, for an account that has none left, as with its first second factor."""
    return [] if count_recovery_codes(account_id) else _written_codes()


def hashed_codes(written: Sequence[str]) -> dict[str, str]:
    """For `store_codes`. Takes a quarter of a second for ten: call it outside a transaction."""
    codes = map(typed_code, written)
    return {selector_of(code): _HASHER.hash(code) for code in codes}


def store_codes(account_id: int, hashed: Mapping[str, str]) -> None:
    """In place of the codes before, if there are new ones. Inside a transaction."""
    if hashed:
        replace_recovery_codes(account_id, hashed)


def renew_recovery_codes(account: Account, now_ms: int) -> list[str]:
    """A new set; the codes before no longer work."""
    account_id, subject = account.id, f"account {account.external_id}"
    written = _written_codes()
    hashed = hashed_codes(written)
    with transaction():
        store_codes(account_id, hashed)
        audit_log.record_audit_entry("recovery_codes_renewed", subject, account_id, now_ms, account_id=account_id)
    return written


def use_recovery_code(account: Account, text: str, now_ms: int) -> bool:
    """Whether it was one of the account’s; it works once."""
    account_id, subject, code = account.id, f"account {account.external_id}", typed_code(text)
    code_hash = find_code_hash(account_id, selector_of(code))
    db.session.rollback()  # do not hold a database connection while hashing
    if code_hash is None or not _matches(code, code_hash):
        return False
    with transaction():
        is_used = use_code_hash(account_id, selector_of(code), code_hash)
        if is_used:
            audit_log.record_audit_entry("recovery_code_used", subject, account_id, now_ms, account_id=account_id)
    return is_used


def _written_codes() -> list[str]:
    return list(map(written_code, new_codes(secrets.choice)))


def _matches(code: str, code_hash: str) -> bool:
    try:
        return _HASHER.verify(code_hash, code)
    except VerifyMismatchError:
        return False

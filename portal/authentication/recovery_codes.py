"""Recovery codes: make a set, and use one instead of the second factor."""

from collections.abc import Mapping
from secrets import SystemRandom

from portal.accounts.passwords import hash_account_password, password_matches
from portal.accounts.tables.accounts import Account
from portal.authentication.rules.recovery_codes import new_codes, selector_of, typed_code, written_code
from portal.authentication.tables.recovery_codes import (
    count_recovery_codes,
    find_code_hash,
    replace_recovery_codes,
    use_code_hash,
)
from portal.core import audit_log
from portal.core.extensions import db
from portal.core.transaction import transaction


def hashed_codes() -> dict[str, str]:
    """New codes with their hashes, for `store_codes`. Raises `Busy`. Takes a second: call it outside a transaction."""
    return {code: hash_account_password(code) for code in new_codes(SystemRandom())}


def missing_codes(account_id: int) -> dict[str, str]:
    """`hashed_codes` for an account that has none left, for example with its first second factor; otherwise empty."""
    return {} if count_recovery_codes(account_id) else hashed_codes()


def store_codes(account_id: int, codes: Mapping[str, str]) -> list[str]:
    """In place of the codes before, if there are new ones. Returns how they are written. Inside a transaction."""
    if codes:
        replace_recovery_codes(account_id, {selector_of(code): code_hash for code, code_hash in codes.items()})
    return list(map(written_code, codes))


def renew_recovery_codes(account: Account, now_ms: int) -> list[str]:
    """A new set; the codes before no longer work. Raises `Busy`."""
    account_id, subject = account.id, f"account {account.external_id}"
    codes = hashed_codes()
    with transaction():
        audit_log.record_audit_entry("recovery_codes_renewed", subject, account_id, now_ms, account_id=account_id)
        return store_codes(account_id, codes)


def use_recovery_code(account: Account, text: str, now_ms: int) -> bool:
    """Whether it was one of the account’s; it works once. Raises `Busy`."""
    account_id, subject, code = account.id, f"account {account.external_id}", typed_code(text)
    code_hash = find_code_hash(account_id, selector_of(code))
    db.session.rollback()  # do not hold a database connection while hashing
    if not password_matches(code, code_hash) or code_hash is None:
        return False
    with transaction():
        is_used = use_code_hash(account_id, selector_of(code), code_hash)
        if is_used:
            audit_log.record_audit_entry("recovery_code_used", subject, account_id, now_ms, account_id=account_id)
    return is_used

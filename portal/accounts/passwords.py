"""Hash and check passwords in constant time, and change one by a single-use link."""

import secrets
import unicodedata
from typing import cast
from urllib.parse import urlsplit

from flask_security import hash_password, verify_password
from sqlalchemy import update

from portal.accounts.rules import password_strength as rules
from portal.accounts.tables.accounts import Account
from portal.core import audit_log
from portal.core.context import settings
from portal.core.extensions import security
from portal.core.organisation import current_organisation
from portal.core.transaction import transaction

_DUMMY_PASSWORD = "hashed when an account has no password, so that the check takes as long"  # noqa: S105


def hash_account_password(password: str) -> str:
    """Raises `Busy` if too many hashes are already waiting."""
    return cast(str, hash_password(normalise_password(password)))


def normalise_password(password: str) -> str:
    """Keyboards encode accented letters in different ways; all of them must give the same hash."""
    return unicodedata.normalize("NFKD", password)


def password_rule_problem(password: str, *personal: str) -> str | None:
    """Why this password is not allowed, as a sentence; None if it is.

    `personal` is what strangers may know of its owner: name, email and account number.
    """
    host = urlsplit(settings().public_url).hostname or ""
    return rules.strength_problem(password, (*personal, current_organisation().name, host))


def password_matches(password: str, password_hash: str | None) -> bool:
    """Takes as long for an account without a password, and for one that is too long to be any. Raises `Busy`."""
    if password_hash is None or len(password) > rules.MAX_PASSWORD_LENGTH:
        hash_password(_DUMMY_PASSWORD)
        return False
    return bool(verify_password(normalise_password(password), password_hash))


def rehash_if_outdated(account_id: int, password: str, password_hash: str | None) -> None:
    """Hash the password again if the stored hash was made with outdated parameters. Raises `Busy`."""
    if password_hash is None or not security.pwd_context.needs_update(password_hash):
        return
    new_hash = hash_account_password(password)
    with transaction() as session:
        unchanged = Account.id == account_id, Account.password == password_hash
        session.execute(update(Account).where(*unchanged).values(password=new_hash))


def reset_password_by_link(account_id: int, identity: str, password: str, now_ms: int) -> bool:
    """Set the password and end every session. False if the link was already used, as its identity has changed then.

    Raises `Busy`. The hash is computed before the transaction, so that the database does not wait for it.
    """
    password_hash = hash_account_password(password)
    still_valid = Account.id == account_id, Account.fs_uniquifier == identity, Account.active == True  # noqa: E712  SQL
    query = update(Account).where(*still_valid).values(password=password_hash, fs_uniquifier=secrets.token_hex(16))
    with transaction() as session:
        external_id = session.scalar(query.returning(Account.external_id))
        if external_id is not None:
            audit_log.record_audit_entry("password_changed", f"account {external_id}", account_id, now_ms)
    return external_id is not None

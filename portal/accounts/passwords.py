"""Passwords: hashed in one form, checked in time that tells nothing, changed by a link that works once."""

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
from portal.core.transaction import transaction

_DUMMY_PASSWORD = "as long as it takes for an account that has a password"


def hash_account_password(password: str) -> str:
    """Raises `Busy` when the process has too much to hash."""
    return cast(str, hash_password(normalise_password(password)))


def normalise_password(password: str) -> str:
    """Keyboards disagree on how to spell an accented letter; the hash must not."""
    return unicodedata.normalize("NFKD", password)


def password_rule_problem(password: str, *about: str) -> str | None:
    """Why nobody with this name, email and account number can have this password, in words; None when they can."""
    found = settings()
    host = urlsplit(found.public_url).hostname or ""
    return rules.strength_problem(password, (*about, found.organisation, host))


def password_matches(password: str, stored: str | None) -> bool:
    """As slow for an account without a password as for one that has another. Raises `Busy`."""
    if stored is None:
        hash_password(_DUMMY_PASSWORD)
        return False
    return bool(verify_password(normalise_password(password), stored))


def rehash_if_outdated(account_id: int, password: str, stored: str | None) -> None:
    """Hash it anew when the stored hash was made with other parameters than today's. Raises `Busy`."""
    if stored is None or not security.pwd_context.needs_update(stored):
        return
    anew = hash_account_password(password)
    with transaction() as session:
        of_account = Account.id == account_id, Account.password == stored
        session.execute(update(Account).where(*of_account).values(password=anew))


def reset_password_by_link(account_id: int, identity: str, password: str, now_ms: int) -> bool:
    """Set the password and end every session; False when the link's identity is no more, since it works once.

    Raises `Busy`. The hash is made first: a database does not wait for it.
    """
    stored = hash_account_password(password)
    of_link = Account.id == account_id, Account.fs_uniquifier == identity, Account.active == True  # noqa: E712  SQL
    changed = update(Account).where(*of_link)
    with transaction() as session:
        query = changed.values(password=stored, fs_uniquifier=secrets.token_hex(16)).returning(Account.external_id)
        number = session.scalar(query)
        if number is not None:
            audit_log.record_audit_entry("password_changed", f"account {number}", account_id, now_ms)
    return number is not None

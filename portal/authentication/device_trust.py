"""Trust in a browser: for a while, the account is not asked for its second factor there.

The browser keeps a random token, and the table only its hash. Trust ends by itself when the account gets another
identity: by a new password, email address or role, or when all its sessions are ended.
"""

import hashlib
import secrets
from collections.abc import Sequence

from portal.accounts.sign_in_throttle import keyed_hashes
from portal.accounts.tables.accounts import Account
from portal.authentication.tables import trusted_devices as table
from portal.authentication.tables.trusted_devices import TrustedDevice
from portal.core import audit_log
from portal.core.context import settings
from portal.core.transaction import transaction

_DAY_MS = 86_400_000


def trust_device(account: Account, token: str, browser: str, now_ms: int) -> str:
    """Returns a new token for the browser to keep, in place of its own for all accounts that trust it, if it has one.

    Somebody else may know the one before: who used this browser earlier, or has put it there.
    """
    before, token = token, secrets.token_urlsafe(32)
    row = {
        "account_id": account.id,
        "token_hash": _token_hash(token),
        "credentials_hash": _credentials_hashes(account)[0],
        "browser": browser,
        "created_at_ms": now_ms,
    }
    with transaction():
        table.delete_devices_until(_trusted_since_ms(now_ms))
        if before:
            table.replace_device_token(_token_hash(before), _token_hash(token))
        table.remember_trusted_device(row)
    return token


def is_trusted(account: Account, token: str, now_ms: int) -> bool:
    return bool(token) and _token_hash(token) in {device.token_hash for device in trusted_devices_of(account, now_ms)}


def trusted_devices_of(account: Account, now_ms: int) -> Sequence[TrustedDevice]:
    """Newest first."""
    return table.trusted_devices(account.id, _credentials_hashes(account), _trusted_since_ms(now_ms))


def end_trust(account: Account, now_ms: int) -> None:
    """Ask for the second factor on every device again."""
    account_id, subject = account.id, f"account {account.external_id}"
    with transaction():
        table.forget_trusted_devices(account_id)
        audit_log.record_audit_entry("device_trust_ended", subject, account_id, now_ms, account_id=account_id)


def _trusted_since_ms(now_ms: int) -> int:
    return now_ms - settings().trusted_device_days * _DAY_MS


def _token_hash(token: str) -> str:
    """Without salt, since nobody can guess 256 random bits."""
    return hashlib.sha256(token.encode()).hexdigest()


def _credentials_hashes(account: Account) -> list[str]:
    """By the newest key first."""
    return keyed_hashes("trusted device", account.fs_uniquifier)

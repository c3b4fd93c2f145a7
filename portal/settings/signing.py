"""The portal’s signing key: an Ed25519 key of its own, made when it is first needed."""

from dataclasses import dataclass
from itertools import pairwise

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from portal.core.audit_log import record_audit_entry
from portal.core.context import settings
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.statements import insert_if_missing
from portal.core.transaction import transaction
from portal.core.translation import gettext as _
from portal.settings.rules.encryption import DecryptionError, decrypt_secret
from portal.settings.setting_changes import encrypt_setting
from portal.settings.tables import signing_keys
from portal.settings.tables.signing_keys import SIGNING_KEY_NAME, SigningKeyRow, stored_signing_key

KEPT_AFTER_REPLACEMENT_MS = 7 * 86_400_000
"""A file that was begun with a key ends with its signature. It is written and deleted within days."""


@dataclass(frozen=True)
class SigningKey:
    private: Ed25519PrivateKey
    created_at_ms: int

    @property
    def public_bytes(self) -> bytes:
        return self.private.public_key().public_bytes_raw()


@dataclass(frozen=True)
class EarlierKey:
    """Signed until the next key was made. What it signed stays valid."""

    public_bytes: bytes
    created_at_ms: int
    replaced_at_ms: int


def signing_key(now_ms: int) -> SigningKey:
    """Raises `ActionRefused` if it cannot be decrypted. If two processes make one at once, the first one’s stays."""
    row = stored_signing_key()
    if row is None:
        _make_key(1, now_ms)
        return signing_key(now_ms)
    return _usable(row)


def signing_key_of(public_bytes: bytes) -> SigningKey:
    """The key with which a file was begun, which may have been replaced since. Raises `ActionRefused`."""
    row = stored_signing_key(public_bytes.hex())
    if row is None or not row.private_key:
        db.session.rollback()
        raise ActionRefused(_("This was begun with a signing key that the portal no longer has. Start again."))
    return _usable(row)


def earlier_signing_keys() -> list[EarlierKey]:
    """Newest first."""
    rows = signing_keys.stored_signing_keys()
    keys = [
        EarlierKey(bytes.fromhex(row.public_key), row.created_at_ms, newer.created_at_ms)
        for newer, row in pairwise(rows)
    ]
    db.session.rollback()
    return keys


def renew_signing_key(now_ms: int) -> SigningKey:
    """Sign with a new key from now on."""
    row = stored_signing_key()
    _make_key(row.id + 1 if row else 1, now_ms, was_renewed=True)
    return signing_key(now_ms)


def forget_private_signing_keys(now_ms: int) -> int:
    """Delete the private halves that nothing needs any more. Returns how many."""
    with transaction():
        return signing_keys.forget_private_keys(now_ms - KEPT_AFTER_REPLACEMENT_MS)


def _make_key(id: int, now_ms: int, was_renewed: bool = False) -> None:
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw().hex()
    ciphertext = encrypt_setting(SIGNING_KEY_NAME, private.private_bytes_raw().hex())
    row = {"id": id, "public_key": public, "private_key": ciphertext, "created_at_ms": now_ms}
    with transaction():
        insert_if_missing(SigningKeyRow, row, ["id"])
        if was_renewed:
            record_audit_entry("signing_key_renewed", "signing key", None, now_ms)


def _usable(row: SigningKeyRow) -> SigningKey:
    try:
        secret = decrypt_secret(row.private_key, SIGNING_KEY_NAME, settings().encryption_keys)
    except DecryptionError as error:
        raise ActionRefused(str(error)) from error
    created_at_ms = row.created_at_ms
    db.session.rollback()
    return SigningKey(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret)), created_at_ms)

"""The portal’s signing key: an Ed25519 key of its own, made when it is first needed."""

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from portal.core.context import settings
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.statements import insert_if_missing
from portal.core.transaction import transaction
from portal.settings.rules.encryption import DecryptionError, decrypt_secret, is_encrypted_with
from portal.settings.setting_changes import encrypt_setting
from portal.settings.tables.signing_keys import SigningKeyRow, replace_private_key, stored_signing_key

_NAME = "Signing key"
_ID = 1


@dataclass(frozen=True)
class SigningKey:
    private: Ed25519PrivateKey
    created_at_ms: int

    @property
    def public_bytes(self) -> bytes:
        return self.private.public_key().public_bytes_raw()


def signing_key(now_ms: int) -> SigningKey:
    """Raises `ActionRefused` if it cannot be decrypted. If two processes make one at once, the first one’s stays."""
    row = stored_signing_key()
    if row is None:
        _make_key(now_ms)
        return signing_key(now_ms)
    private, created_at_ms = _decrypt(row), row.created_at_ms
    db.session.rollback()
    return SigningKey(private, created_at_ms)


def reencrypt_signing_key(newest: bytes) -> tuple[int, int]:
    """How many keys were encrypted again, and how many used the newest already. Inside a transaction."""
    row = stored_signing_key()
    if row is None:
        return 0, 0
    if is_encrypted_with(row.private_key, newest):
        return 0, 1
    replace_private_key(_encrypt(_decrypt(row)))
    return 1, 0


def _make_key(now_ms: int) -> None:
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw().hex()
    row = {"id": _ID, "public_key": public, "private_key": _encrypt(private), "created_at_ms": now_ms}
    with transaction():
        insert_if_missing(SigningKeyRow, row, ["id"])


def _encrypt(private: Ed25519PrivateKey) -> str:
    return encrypt_setting(_NAME, private.private_bytes_raw().hex())


def _decrypt(row: SigningKeyRow) -> Ed25519PrivateKey:
    try:
        secret = decrypt_secret(row.private_key, _NAME, settings().encryption_keys)
    except DecryptionError as error:
        raise ActionRefused(str(error)) from error
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret))

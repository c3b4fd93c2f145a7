"""Secrets at rest: AES-256-GCM with the setting's name as associated data, so that a value cannot change rows.

A sealed value reads `v1.<key id>.<base64 of nonce and ciphertext>`; by the key id old keys still read what they sealed.
"""

import base64
import hashlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12


class DecryptionError(ValueError):
    """The value was sealed with a key we do not have, or was tampered with."""


def encrypt_secret(text: str, name: str, key: bytes, nonce: bytes) -> str:
    """`nonce` is 12 fresh random bytes, drawn by the caller."""
    if len(nonce) != _NONCE_BYTES:
        raise ValueError("the nonce must be 12 bytes")
    sealed = AESGCM(key).encrypt(nonce, text.encode(), name.encode())
    return f"v1.{key_id(key)}.{base64.b64encode(nonce + sealed).decode()}"


def decrypt_secret(sealed: str, name: str, keys: tuple[bytes, ...]) -> str:
    """Raises `DecryptionError` when no key fits."""
    version, wanted, raw = _split_token(sealed, name)
    for key in keys:
        if version == "v1" and key_id(key) == wanted:
            return _decrypt_with_key(raw, name, key)
    raise DecryptionError(f"{name} was sealed with a key that PORTAL_ENCRYPTION_KEY does not hold.")


def is_encrypted_with(sealed: str, key: bytes) -> bool:
    return sealed.startswith(f"v1.{key_id(key)}.")


def _split_token(sealed: str, name: str) -> tuple[str, str, bytes]:
    try:
        version, wanted, payload = sealed.split(".", 2)
        raw = base64.b64decode(payload, validate=True)
    except ValueError as error:
        raise DecryptionError(f"{name} is not stored as a sealed value. Set it again.") from error
    if len(raw) <= _NONCE_BYTES:
        raise DecryptionError(f"{name} is not stored as a sealed value. Set it again.")
    return version, wanted, raw


def key_id(key: bytes) -> str:
    return hashlib.sha256(b"portal key id" + key).hexdigest()[:8]


def _decrypt_with_key(raw: bytes, name: str, key: bytes) -> str:
    try:
        return AESGCM(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], name.encode()).decode()
    except InvalidTag as error:
        raise DecryptionError(f"{name} does not open with its key: the stored value was changed.") from error

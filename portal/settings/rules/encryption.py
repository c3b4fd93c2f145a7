"""Secrets at rest: AES-256-GCM with the setting's name as associated data, so that values cannot be swapped.

The stored format is `v1.<key id>.<base64 of nonce and ciphertext>`. The key id selects the key, old or new.
"""

import base64
import hashlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from portal.core.translation import gettext as _

_NONCE_BYTES = 12


class DecryptionError(ValueError):
    """The key is missing, or the value was tampered with."""


def encrypt_secret(text: str, name: str, key: bytes, nonce: bytes) -> str:
    """`nonce` must be 12 fresh random bytes."""
    if len(nonce) != _NONCE_BYTES:
        raise ValueError("the nonce must be 12 bytes")
    ciphertext = AESGCM(key).encrypt(nonce, text.encode(), name.encode())
    return f"v1.{key_id(key)}.{base64.b64encode(nonce + ciphertext).decode()}"


def decrypt_secret(token: str, name: str, keys: tuple[bytes, ...]) -> str:
    """Raises `DecryptionError`."""
    version, _dot, rest = token.partition(".")
    token_key_id, _dot, payload = rest.partition(".")
    try:
        raw = base64.b64decode(payload, validate=True)
    except ValueError:
        raw = b""
    if len(raw) <= _NONCE_BYTES:
        raise DecryptionError(_("%(name)s is not stored encrypted. Set it again.", name=name))
    key = next((key for key in keys if version == "v1" and key_id(key) == token_key_id), None)
    if key is None:
        raise DecryptionError(_("%(name)s was encrypted with a key that is not in PORTAL_ENCRYPTION_KEY.", name=name))
    try:
        return AESGCM(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], name.encode()).decode()
    except InvalidTag as error:
        raise DecryptionError(_("%(name)s cannot be decrypted: the stored value was changed.", name=name)) from error


def is_encrypted_with(token: str, key: bytes) -> bool:
    return token.startswith(f"v1.{key_id(key)}.")


def key_id(key: bytes) -> str:
    return hashlib.sha256(b"portal key id" + key).hexdigest()[:8]

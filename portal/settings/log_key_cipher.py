"""Encrypts the keys of the logs under PORTAL_ENCRYPTION_KEY, as secrets of the settings are."""

import os

from flask import Flask

from portal.core import audit_log
from portal.core.context import environment_settings
from portal.core.log_integrity import mac_writing
from portal.core.log_integrity.log_keys import CIPHER
from portal.core.transaction import transaction
from portal.settings.rules.encryption import DecryptionError, decrypt_secret, encrypt_secret


class _SettingsCipher:
    """With the keys of the environment: reading saved settings takes a connection, and the caller has a lock."""

    def encrypt(self, name: str, text: str) -> str:
        return encrypt_secret(text, name, environment_settings().encryption_keys[0], os.urandom(12))

    def decrypt(self, name: str, ciphertext: str) -> str | None:
        try:
            return decrypt_secret(ciphertext, name, environment_settings().encryption_keys)
        except DecryptionError:
            return None


def init_app(app: Flask) -> None:
    app.extensions[CIPHER] = _SettingsCipher()


def rotate_log_key(now_ms: int) -> str:
    """What is recorded from now on is protected with a new key. Earlier keys are kept for verification."""
    with transaction():
        key_id = mac_writing.renew_key(now_ms)
        audit_log.record_audit_entry("log_key_renewed", "the key of the logs", None, now_ms)
    return key_id

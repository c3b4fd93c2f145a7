"""Encrypts the keys of the logs under PORTAL_ENCRYPTION_KEY, as secrets of the settings are."""

import os

from flask import Flask

from portal.core import audit_log
from portal.core.context import environment_settings
from portal.core.errors import ActionRefused
from portal.core.log_integrity import log_macs, mac_writing
from portal.core.log_integrity.log_keys import CIPHER, key_ring
from portal.core.transaction import transaction
from portal.core.translation import gettext as _
from portal.settings.rules.encryption import DecryptionError, decrypt_secret, encrypt_secret, is_encrypted_with


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


def reencrypt_log_keys(newest: bytes) -> tuple[int, int]:
    """How many keys were encrypted again, and how many used the newest encryption key already. Inside a transaction."""
    outdated = [row for row in log_macs.key_rows() if not is_encrypted_with(row.secret, newest)]
    unchanged = len(log_macs.key_rows()) - len(outdated)
    for row in outdated:
        if not key_ring().reencrypt(row):
            raise ActionRefused(_("A key of the logs cannot be decrypted with PORTAL_ENCRYPTION_KEY."))
    return len(outdated), unchanged

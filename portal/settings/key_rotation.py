"""Rotate the encryption key: encrypt every stored secret with the newest key."""

from dataclasses import dataclass

from portal.core.context import settings
from portal.core.errors import ActionRefused
from portal.core.transaction import transaction
from portal.settings.rules import encryption
from portal.settings.rules.app_config import DEFINITIONS
from portal.settings.rules.encryption import DecryptionError
from portal.settings.setting_changes import encrypt_setting
from portal.settings.tables.setting_values import StoredSetting, lock_settings, replace_ciphertext, stored_settings


@dataclass(frozen=True)
class KeyRotation:
    """How many secrets were encrypted again, and how many there are."""

    reencrypted: int
    total: int


def rotate_keys() -> KeyRotation:
    """Raises `ActionRefused`, with nothing changed, if a secret cannot be decrypted."""
    newest, *_ = keys = settings().encryption_keys
    with transaction():
        lock_settings()
        secrets = {name: row for name, row in stored_settings().items() if DEFINITIONS[name].is_secret}
        plaintexts = _decrypt_all(secrets, keys)
        outdated = [name for name, row in secrets.items() if not encryption.is_encrypted_with(row.value, newest)]
        for name in outdated:
            replace_ciphertext(name, encrypt_setting(name, plaintexts[name]))
    return KeyRotation(len(outdated), len(secrets))


def _decrypt_all(secrets: dict[str, StoredSetting], keys: tuple[bytes, ...]) -> dict[str, str]:
    plaintexts: dict[str, str] = {}
    errors: list[str] = []
    for name, row in secrets.items():
        try:
            plaintexts[name] = encryption.decrypt_secret(row.value, name, keys)
        except DecryptionError as error:
            errors.append(str(error))
    if errors:
        raise ActionRefused(f"{' '.join(errors)} Nothing was changed.")
    return plaintexts

"""The keys of secrets at rest: after a new one was put first, everything is sealed with it."""

from dataclasses import dataclass

from portal.core.context import settings
from portal.core.errors import ActionRefused
from portal.core.transaction import transaction
from portal.settings.app_settings import encrypt_setting
from portal.settings.rules import encryption
from portal.settings.rules.app_config import DEFINITIONS
from portal.settings.rules.encryption import DecryptionError
from portal.settings.tables.setting_values import lock_settings, replace_ciphertext, stored_settings


@dataclass(frozen=True)
class KeyRotation:
    """How many secrets were sealed again, of how many there are."""

    reencrypted: int
    total: int


def rotate_keys() -> KeyRotation:
    """Seal every secret with the newest key. Raises `Refused`, with nothing changed, when one of them does not open."""
    newest, *_ = keys = settings().encryption_keys
    with transaction():
        lock_settings()
        secrets = {name: row for name, row in stored_settings().items() if DEFINITIONS[name].is_secret}
        opened = _decrypt_all({name: row.value for name, row in secrets.items()}, keys)
        stale = [name for name, row in secrets.items() if not encryption.is_encrypted_with(row.value, newest)]
        for name in stale:
            replace_ciphertext(name, encrypt_setting(name, opened[name]))
    return KeyRotation(len(stale), len(secrets))


def _decrypt_all(sealed: dict[str, str], keys: tuple[bytes, ...]) -> dict[str, str]:
    opened: dict[str, str] = {}
    closed: list[str] = []
    for name, value in sealed.items():
        try:
            opened[name] = encryption.decrypt_secret(value, name, keys)
        except DecryptionError as error:
            closed.append(str(error))
    if closed:
        raise ActionRefused(f"{' '.join(closed)} Nothing was changed.")
    return opened

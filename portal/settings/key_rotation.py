"""Rotate the encryption key: encrypt every stored secret with the newest key."""

import json
from collections.abc import Callable

from portal.core.context import settings
from portal.core.errors import ActionRefused
from portal.core.transaction import transaction
from portal.core.translation import gettext as _
from portal.settings.app_settings import configuration
from portal.settings.rules.app_config import DEFINITIONS
from portal.settings.rules.encryption import is_encrypted_with
from portal.settings.setting_changes import encrypt_setting
from portal.settings.signing import reencrypt_signing_key
from portal.settings.tables.setting_values import lock_settings, replace_ciphertext, stored_settings


def rotate_keys(*reencrypt_others: Callable[[bytes], tuple[int, int]]) -> tuple[int, int]:
    """Return how many secrets were encrypted again, and how many used the newest key already.

    Packages above encrypt secrets, too: each function gets the newest key, and returns the same for its own.
    Raises `ActionRefused`, with nothing changed, if a secret cannot be decrypted.
    """
    newest = settings().encryption_keys[0]
    with transaction():
        lock_settings()
        current = configuration()
        if current.read_errors:
            problems = " ".join(current.read_errors.values())
            raise ActionRefused(_("%(problems)s Nothing was changed.", problems=problems))
        secrets = [row for name, row in stored_settings().items() if DEFINITIONS[name].is_secret]
        outdated = [row.name for row in secrets if not is_encrypted_with(row.value, newest)]
        for name in outdated:
            replace_ciphertext(name, encrypt_setting(name, json.dumps(current.values[name])))
        counts = [reencrypt(newest) for reencrypt in (reencrypt_signing_key, *reencrypt_others)]
    reencrypted, unchanged = map(sum, zip(*counts, strict=True))
    return len(outdated) + reencrypted, len(secrets) - len(outdated) + unchanged

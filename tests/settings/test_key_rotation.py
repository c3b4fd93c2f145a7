"""Key rotation reaches every ciphertext, continues after an interruption, and disturbs no running process."""

import ast
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update

from portal import create_app
from portal.core.config import Settings
from portal.core.extensions import db
from portal.settings import app_settings, key_rotation
from portal.settings.rules.encryption import key_id
from portal.settings.setting_changes import set_setting
from portal.settings.signing import (
    EarlierKey,
    earlier_signing_keys,
    forget_private_signing_keys,
    renew_signing_key,
    signing_key,
    signing_key_of,
)
from portal.settings.tables.encrypted_columns import EncryptedColumn, encrypted_columns
from portal.settings.tables.setting_values import AppSetting
from tests.support import servers
from tests.support.scenario import configure_gateway

NEW_KEY, NOW, DAY_MS = b"n" * 32, 1_800_000_000_000, 86_400_000
AUTHENTICATION = "SmsGatewayAuthentication"
ENCRYPTING_MODULES = {
    "portal/settings/setting_changes.py": "app_setting.value",
    "portal/settings/signing.py": "signing_key.private_key",
    "portal/settings/log_key_cipher.py": "log_key.secret",
    "portal/settings/key_rotation.py": "",
    "portal/authentication/authenticator_app.py": "totp_credential.secret",
    "portal/web/authentication/recent_sign_in.py": "",
}
"""What encrypts, and the column that holds it; "" for what is stored in no column of its own."""


@contextmanager
def app_with_keys(settings: Settings, *keys: bytes) -> Iterator[Flask]:
    """Another process on the same database."""
    db.session.remove()
    app = create_app(replace(settings, encryption_keys=keys))
    with app.app_context():
        yield app
        db.session.remove()


@pytest.mark.one_engine
@pytest.mark.usefixtures("app")
def test_every_column_of_ciphertexts_is_known_to_key_rotation() -> None:
    encrypting = {
        str(path.relative_to(servers.ROOT))
        for path in (servers.ROOT / "portal").rglob("*.py")
        if _calls(path) & {"encrypt_secret", "encrypt_setting"}
    }
    assert encrypting == set(ENCRYPTING_MODULES)
    assert set(filter(None, ENCRYPTING_MODULES.values())) == {column.label for column in encrypted_columns()}


def _calls(path: Path) -> set[str]:
    calls = (node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    return {getattr(called, "attr", getattr(called, "id", "")) for called in calls}


@pytest.mark.usefixtures("app")
def test_interrupted_rotation_continues(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    configure_gateway()
    old = settings.encryption_keys[0]
    monkeypatch.setattr(key_rotation, "_BATCH_SIZE", 1)
    replaced = EncryptedColumn.replace

    def interrupted(self: EncryptedColumn, row: Any, ciphertext: str) -> bool:
        if _count_on(NEW_KEY):
            raise KeyboardInterrupt
        return replaced(self, row, ciphertext)

    with app_with_keys(settings, NEW_KEY, old):
        monkeypatch.setattr(EncryptedColumn, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            key_rotation.rotate_keys(NOW)
        monkeypatch.setattr(EncryptedColumn, "replace", replaced)
        left = _count_on(old)
        assert (_count_on(NEW_KEY), left > 0) == (1, True)
        assert key_rotation.rotate_keys(NOW) == (left, 1)
    with app_with_keys(settings, NEW_KEY):
        assert app_settings.configuration().read_errors == {}


@pytest.mark.usefixtures("app")
def test_processes_of_both_orders_work_during_a_rotation(settings: Settings) -> None:
    """Those that have not been restarted yet encrypt with the old key still; the next run finds that."""
    configure_gateway()
    old = settings.encryption_keys[0]
    with app_with_keys(settings, NEW_KEY, old):
        key_rotation.rotate_keys(NOW)
    with app_with_keys(settings, old, NEW_KEY):
        assert app_settings.signing_tokens() == [servers.LIVE_CREDENTIALS["AuthToken"]]
        set_setting(AUTHENTICATION, json.dumps({**servers.LIVE_CREDENTIALS, "AuthToken": "another-token"}), None, NOW)
    with app_with_keys(settings, NEW_KEY, old):
        assert app_settings.signing_tokens() == ["another-token"]
        assert key_rotation.rotate_keys(NOW) == (1, 2)
    with app_with_keys(settings, NEW_KEY):
        assert app_settings.signing_tokens() == ["another-token"]


@pytest.mark.usefixtures("app")
def test_secret_that_is_saved_during_a_rotation_is_kept(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    configure_gateway()
    old, replaced = settings.encryption_keys[0], EncryptedColumn.replace

    def overtaken(self: EncryptedColumn, row: Any, ciphertext: str) -> bool:
        """Somebody else has saved the value after it was read."""
        if self.label == "app_setting.value":
            db.session.execute(update(AppSetting).where(AppSetting.name == row.name).values(value="changed"))
        return replaced(self, row, ciphertext)

    with app_with_keys(settings, NEW_KEY, old):
        monkeypatch.setattr(EncryptedColumn, "replace", overtaken)
        key_rotation.rotate_keys(NOW)
        changed = select(AppSetting.name).where(AppSetting.value == "changed").order_by(AppSetting.name)
        assert list(db.session.scalars(changed)) == [AUTHENTICATION, f"Test{AUTHENTICATION}"]


def _count_on(key: bytes) -> int:
    count = sum(column.counts_by_key_id().get(key_id(key), 0) for column in encrypted_columns())
    db.session.rollback()
    return count


@pytest.mark.usefixtures("app")
def test_replaced_signing_key_finishes_what_it_began_and_is_forgotten_later() -> None:
    first = signing_key(NOW)
    second = renew_signing_key(NOW + DAY_MS)
    assert signing_key(NOW + DAY_MS).public_bytes == second.public_bytes != first.public_bytes
    assert signing_key_of(first.public_bytes).private.sign(b"x") == first.private.sign(b"x")
    assert earlier_signing_keys() == [EarlierKey(first.public_bytes, NOW, NOW + DAY_MS)]
    assert forget_private_signing_keys(NOW + 8 * DAY_MS) == 0
    assert forget_private_signing_keys(NOW + 9 * DAY_MS) == 1
    with pytest.raises(Exception, match="no longer has"):
        signing_key_of(first.public_bytes)
    assert signing_key(NOW).public_bytes == second.public_bytes
    assert len(earlier_signing_keys()) == 1

import base64
import json
import os
import re
from pathlib import Path

from portal.processes import preflight
from portal.settings.rules.encryption import key_id
from tests.support import servers
from tests.support.portal_shell import PortalShell

SECRET_SETTINGS = ("SmsGatewayAuthentication", "TestSmsGatewayAuthentication")
NEW_KEY = base64.b64encode(b"n" * 32).decode()


def current_key(shell: PortalShell) -> str:
    return (shell.instance / "encryption_key").read_text()


def encrypted_values(shell: PortalShell) -> list[tuple[str]]:
    return shell.select_rows("SELECT value FROM app_setting ORDER BY name")


def set_both_secrets(shell: PortalShell) -> None:
    for name in SECRET_SETTINGS:
        shell.output_of("config", "set", name, json.dumps(servers.LIVE_CREDENTIALS))


def test_secrets_are_reencrypted_with_the_newest_key(shell: PortalShell) -> None:
    set_both_secrets(shell)
    before, keys = encrypted_values(shell), f"{NEW_KEY},{current_key(shell)}"
    output = shell.output_of("keys", "rotate", PORTAL_ENCRYPTION_KEY=keys)
    assert output == "3 secrets re-encrypted with the newest key; 0 already used it."
    assert re.fullmatch(r"\d secrets re-encrypted with the newest key; 0 already used it\.", output)
    assert set(encrypted_values(shell)).isdisjoint(before)
    assert "oken" in shell.output_of("config", "show", SECRET_SETTINGS[0], PORTAL_ENCRYPTION_KEY=NEW_KEY)
    assert "not in PORTAL_ENCRYPTION_KEY" in shell.error_of("config", "show", SECRET_SETTINGS[0])


def test_second_rotation_changes_nothing(shell: PortalShell) -> None:
    set_both_secrets(shell)
    keys = f"{NEW_KEY},{current_key(shell)}"
    shell.output_of("keys", "rotate", PORTAL_ENCRYPTION_KEY=keys)
    before = encrypted_values(shell)
    output = shell.output_of("keys", "rotate", PORTAL_ENCRYPTION_KEY=keys)
    assert output == "0 secrets re-encrypted with the newest key; 3 already used it."
    assert re.fullmatch(r"0 secrets re-encrypted with the newest key; \d already used it\.", output)
    assert encrypted_values(shell) == before


def test_undecryptable_secret_is_named_and_nothing_changes(shell: PortalShell) -> None:
    shell.output_of("config", "set", SECRET_SETTINGS[0], json.dumps(servers.LIVE_CREDENTIALS))
    lost = base64.b64encode(b"l" * 32).decode()
    shell.output_of(
        "config",
        "set",
        SECRET_SETTINGS[1],
        json.dumps(servers.LIVE_CREDENTIALS),
        PORTAL_ENCRYPTION_KEY=f"{lost},{current_key(shell)}",
    )
    before = encrypted_values(shell)
    output = shell.error_of("keys", "rotate", PORTAL_ENCRYPTION_KEY=f"{NEW_KEY},{current_key(shell)}")
    assert (
        output
        == f"{SECRET_SETTINGS[1]} was encrypted with a key that is not in PORTAL_ENCRYPTION_KEY. Nothing was changed."
    )
    assert encrypted_values(shell) == before


def test_rotation_without_secrets_does_nothing(shell: PortalShell) -> None:
    assert shell.output_of("keys", "rotate") == "0 secrets re-encrypted with the newest key; 0 already used it."


def test_rotation_is_not_recorded_as_a_setting_change(shell: PortalShell) -> None:
    set_both_secrets(shell)
    before = shell.output_of("config", "history")
    shell.output_of("keys", "rotate", PORTAL_ENCRYPTION_KEY=f"{NEW_KEY},{current_key(shell)}")
    assert shell.output_of("config", "history") == before


def test_status_counts_the_secrets_on_each_key_and_shows_none(shell: PortalShell) -> None:
    set_both_secrets(shell)
    old = current_key(shell)
    status = shell.output_of("keys", "status", PORTAL_ENCRYPTION_KEY=f"{NEW_KEY},{old}")
    old_id = encryption_key_id(old)
    assert f"{encryption_key_id(NEW_KEY)} (newest): no stored secret" in status
    assert f"{old_id} (older): 2 in app_setting.value" in status
    assert "PORTAL_ENCRYPTION_KEY: from the environment, age unknown" in status
    assert f"PORTAL_SECRET_KEY: from {shell.instance / 'secret_key'}, changed today" in status
    assert "Signing key: none" in status
    assert "Log key: made today; 0 earlier" in status
    without_old = shell.output_of("keys", "status", PORTAL_ENCRYPTION_KEY=NEW_KEY)
    assert f"{old_id} (missing): 2 in app_setting.value" in without_old
    for key in (NEW_KEY, old, (shell.instance / "secret_key").read_text(), servers.LIVE_CREDENTIALS["AuthToken"]):
        assert key not in status + without_old


def encryption_key_id(key: str) -> str:
    return key_id(base64.b64decode(key))


def test_key_in_the_instance_folder_is_replaced_with_everything_it_encrypts(shell: PortalShell) -> None:
    set_both_secrets(shell)
    old = current_key(shell)
    output = shell.output_of("keys", "rotate", "encryption")
    new = current_key(shell).removesuffix(f",{old}")
    assert new not in (old, current_key(shell))
    assert "secrets re-encrypted with the newest key" in output
    assert (shell.instance / "encryption_key").stat().st_mode & 0o777 == 0o600
    (shell.instance / "encryption_key").write_text(new)
    assert "oken" in shell.output_of("config", "show", SECRET_SETTINGS[0])
    old_secret_key = (shell.instance / "secret_key").read_text()
    shell.output_of("keys", "rotate", "secret")
    assert (shell.instance / "secret_key").read_text().endswith(f",{old_secret_key}")


def test_keys_are_not_replaced_under_running_processes(shell: PortalShell) -> None:
    before = current_key(shell)
    lock = preflight.lock_instance(shell.instance, print)
    try:
        assert "Stop portal up first" in shell.error_of("keys", "rotate", "encryption")
    finally:
        os.close(lock)
    assert current_key(shell) == before


def test_steps_are_printed_for_a_key_that_the_operator_keeps(shell: PortalShell) -> None:
    for key, variable in (("encryption", "PORTAL_ENCRYPTION_KEY"), ("secret", "PORTAL_SECRET_KEY")):
        output = shell.output_of("keys", "rotate", key, **{variable: NEW_KEY})
        assert f"put the new key last in {variable}" in output
        assert NEW_KEY not in output


def test_new_signing_key_leaves_earlier_proofs_valid(shell: PortalShell) -> None:
    first = shell.output_of("keys", "rotate", "signing")
    second = shell.output_of("keys", "rotate", "signing")
    assert first.partition("fingerprint:")[2] != second.partition("fingerprint:")[2]
    assert "Signing key: made today; 1 earlier, 0 of them verify only" in shell.output_of("keys", "status")
    actions = shell.select_rows("SELECT action FROM audit_entry ORDER BY id")
    assert actions == [("signing_key_renewed",), ("signing_key_renewed",)]


def test_secrets_may_come_from_files(shell: PortalShell) -> None:
    set_both_secrets(shell)
    path = Path(shell.write_file("key.txt", f"{current_key(shell)}\n"))
    path.chmod(0o440)
    (shell.instance / "encryption_key").unlink()
    assert "oken" in shell.output_of("config", "show", SECRET_SETTINGS[0], PORTAL_ENCRYPTION_KEY_FILE=str(path))
    assert f"from {path}" in shell.output_of("keys", "status", PORTAL_ENCRYPTION_KEY_FILE=str(path))
    steps = shell.output_of("keys", "rotate", "encryption", PORTAL_ENCRYPTION_KEY_FILE=str(path))
    assert "portal keys rotate" in steps
    assert path.read_text() not in steps

import base64
import json

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
    assert output == "2 secrets re-encrypted with the newest key; 0 already used it."
    assert set(encrypted_values(shell)).isdisjoint(before)
    assert "oken" in shell.output_of("config", "show", SECRET_SETTINGS[0], PORTAL_ENCRYPTION_KEY=NEW_KEY)
    assert "not in PORTAL_ENCRYPTION_KEY" in shell.error_of("config", "show", SECRET_SETTINGS[0])


def test_second_rotation_changes_nothing(shell: PortalShell) -> None:
    set_both_secrets(shell)
    keys = f"{NEW_KEY},{current_key(shell)}"
    shell.output_of("keys", "rotate", PORTAL_ENCRYPTION_KEY=keys)
    before = encrypted_values(shell)
    output = shell.output_of("keys", "rotate", PORTAL_ENCRYPTION_KEY=keys)
    assert output == "0 secrets re-encrypted with the newest key; 2 already used it."
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

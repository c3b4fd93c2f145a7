import base64
import json

import parts
from shell import Shell

TWO = ("SmsGatewayAuthentication", "TestSmsGatewayAuthentication")
NEW = base64.b64encode(b"n" * 32).decode()


def own_key(shell: Shell) -> str:
    return (shell.instance / "encryption_key").read_text()


def sealed(shell: Shell) -> list[tuple[str]]:
    return shell.rows("SELECT value FROM app_setting ORDER BY name")


def set_both(shell: Shell) -> None:
    for name in TWO:
        shell.says("config", "set", name, json.dumps(parts.LIVE))


def test_every_secret_is_sealed_again_with_the_newest_key_and_the_old_key_can_go(shell: Shell) -> None:
    set_both(shell)
    before, keys = sealed(shell), f"{NEW},{own_key(shell)}"
    said = shell.says("keys", "rotate", PORTAL_ENCRYPTION_KEY=keys)
    assert said == "2 secrets sealed again with the newest key; 0 had it already."
    assert set(sealed(shell)).isdisjoint(before)
    assert "oken" in shell.says("config", "show", TWO[0], PORTAL_ENCRYPTION_KEY=NEW)
    assert "does not hold" in shell.refuses("config", "show", TWO[0])


def test_a_second_time_changes_nothing(shell: Shell) -> None:
    set_both(shell)
    keys = f"{NEW},{own_key(shell)}"
    shell.says("keys", "rotate", PORTAL_ENCRYPTION_KEY=keys)
    before = sealed(shell)
    said = shell.says("keys", "rotate", PORTAL_ENCRYPTION_KEY=keys)
    assert said == "0 secrets sealed again with the newest key; 2 had it already."
    assert sealed(shell) == before


def test_one_that_does_not_open_is_named_and_nothing_is_changed(shell: Shell) -> None:
    shell.says("config", "set", TWO[0], json.dumps(parts.LIVE))
    lost = base64.b64encode(b"l" * 32).decode()
    shell.says("config", "set", TWO[1], json.dumps(parts.LIVE), PORTAL_ENCRYPTION_KEY=f"{lost},{own_key(shell)}")
    before = sealed(shell)
    said = shell.refuses("keys", "rotate", PORTAL_ENCRYPTION_KEY=f"{NEW},{own_key(shell)}")
    assert said == f"{TWO[1]} was sealed with a key that PORTAL_ENCRYPTION_KEY does not hold. Nothing was changed."
    assert sealed(shell) == before


def test_with_no_secret_there_is_nothing_to_do(shell: Shell) -> None:
    assert shell.says("keys", "rotate") == "0 secrets sealed again with the newest key; 0 had it already."


def test_a_rotation_is_no_change_of_a_setting(shell: Shell) -> None:
    set_both(shell)
    before = shell.says("config", "history")
    shell.says("keys", "rotate", PORTAL_ENCRYPTION_KEY=f"{NEW},{own_key(shell)}")
    assert shell.says("config", "history") == before

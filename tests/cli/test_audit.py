"""`portal audit`: verify the logs, also against an end that was noted earlier."""

import json
import sqlite3
from collections.abc import Callable

import pytest

from tests.support.portal_shell import PortalShell

NUMBER = "+14152000001"
OPT_OUT = ("consent", "opt-out", NUMBER, "--how", "phone", "--reason", "Rang us")


def change(shell: PortalShell, *statements: str) -> None:
    """In the database, with the triggers dropped."""
    with sqlite3.connect(shell.instance / "portal.sqlite") as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)


def test_untouched_logs_are_unbroken(shell: PortalShell) -> None:
    shell.output_of(*OPT_OUT)
    output = shell.output_of("audit", "verify")
    assert "Audit log: 1 entry, unbroken." in output
    assert "Consent ledger: 1 entry, unbroken." in output
    assert "The key protects what was recorded since 20" in output


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("UPDATE audit_entry SET actor_id = 5", "Audit log: entry 1 does not fit: it was changed"),
        ("UPDATE consent_event SET text = 'START'", "Consent ledger: entry 1 does not fit: it was changed"),
        ("DELETE FROM audit_entry", "Audit log: entry 1 does not fit: it was removed"),
        ("UPDATE consent_event SET digest = 'x'", "Consent ledger: entry 1 does not fit: it was changed"),
    ],
)
def test_changed_entry_is_named_and_the_command_fails(shell: PortalShell, statement: str, error: str) -> None:
    shell.output_of(*OPT_OUT)
    change(shell, statement)
    assert error in shell.error_of("audit", "verify")


def test_noted_end_shows_that_nothing_was_cut_off(shell: PortalShell) -> None:
    shell.output_of(*OPT_OUT)
    file = shell.write_file("head.json", shell.output_of("audit", "head"))
    assert "Everything in the file you noted is still there." in shell.output_of("audit", "verify", "--head", file)
    change(shell, *(f"DELETE FROM {table}" for table in ("audit_entry", "log_mac", "log_head", "log_key")))
    error = "Audit log: entry 0 does not fit: the stored end of the log is missing"
    assert error in shell.error_of("audit", "verify", "--head", file)


@pytest.mark.parametrize(
    ("edit", "error"),
    [
        (lambda head: {**head, "written_at": "2026-01-01T00:00:00Z"}, "its signature does not fit"),
        (lambda head: {"logs": head["logs"]}, "no file with the ends of the logs"),
    ],
)
def test_changed_file_is_refused(shell: PortalShell, edit: Callable[[dict[str, str]], object], error: str) -> None:
    head = json.loads(shell.output_of("audit", "head"))
    file = shell.write_file("head.json", json.dumps(edit(head)))
    assert error in shell.error_of("audit", "verify", "--head", file)


def test_keys_of_the_logs_are_reencrypted_with_the_others(shell: PortalShell) -> None:
    shell.output_of(*OPT_OUT)
    old = (shell.instance / "encryption_key").read_text()
    new = "bm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm4="
    assert "1 secret re-encrypted" in shell.output_of("keys", "rotate", PORTAL_ENCRYPTION_KEY=f"{new},{old}")
    assert "Audit log: 2 entries, unbroken." in shell.output_of("audit", "verify", PORTAL_ENCRYPTION_KEY=new)

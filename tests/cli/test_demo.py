"""`portal demo load`."""

import sqlite3

from tests.support.portal_shell import PortalShell


def _count(shell: PortalShell, table: str) -> int:
    with sqlite3.connect(shell.instance / "portal.sqlite") as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_demo_is_loaded_once_and_prints_sign_ins(shell: PortalShell) -> None:
    first = shell.output_of("demo", "load")
    counts = {table: _count(shell, table) for table in ("account", "template", "communication", "delivery")}
    assert shell.output_of("demo", "load") == first
    assert "admin@example.org" in first
    assert {table: _count(shell, table) for table in counts} == counts
    assert counts["account"] == 40
    shell.variables["PORTAL_TWILIO_API_URL"] = "http://127.0.0.1:1"
    assert shell.output_of("registration", "check") == "Nothing is missing."


def test_interrupted_demo_load_is_completed(shell: PortalShell) -> None:
    shell.output_of("demo", "load")
    with sqlite3.connect(shell.instance / "portal.sqlite") as connection:
        connection.execute("DELETE FROM account WHERE external_id = 'STAFF-2'")
    shell.output_of("demo", "load")
    assert _count(shell, "account") == 40


def test_demo_is_refused_if_there_are_other_accounts(shell: PortalShell) -> None:
    shell.import_accounts("A-1")
    assert "would mix" in shell.error_of("demo", "load")

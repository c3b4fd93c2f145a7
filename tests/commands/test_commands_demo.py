"""The demo: loaded once, whole, and never into somebody's own accounts."""

import sqlite3

from shell import Shell


def _count(shell: Shell, table: str) -> int:
    with sqlite3.connect(shell.instance / "portal.sqlite") as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_the_demo_is_loaded_once_and_says_who_can_sign_in(shell: Shell) -> None:
    first = shell.says("demo", "load")
    counts = {table: _count(shell, table) for table in ("account", "template", "communication", "delivery")}
    assert shell.says("demo", "load") == first
    assert "admin@example.org" in first
    assert {table: _count(shell, table) for table in counts} == counts
    assert counts["account"] == 40


def test_a_demo_that_was_broken_off_is_completed(shell: Shell) -> None:
    shell.says("demo", "load")
    with sqlite3.connect(shell.instance / "portal.sqlite") as connection:
        connection.execute("DELETE FROM account WHERE external_id = 'STAFF-2'")
    shell.says("demo", "load")
    assert _count(shell, "account") == 40


def test_the_demo_does_not_mix_with_accounts_of_ones_own(shell: Shell) -> None:
    shell.people("A-1")
    assert "would mix" in shell.refuses("demo", "load")

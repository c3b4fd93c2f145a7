import base64
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.support.commands.command_runner import CommandRunner
from tests.support.portal_shell import PortalShell, only_error_line

NOT_SET_UP = "The database is not set up yet. Run: portal db upgrade"
KEY = base64.b64encode(b"k" * 32).decode()


@pytest.fixture
def shell_on_database_url(
    command_runner: CommandRunner, database_url: str, dedicated_redis_url: str, tmp_path: Path
) -> PortalShell:
    """A shell for the URL of a migrated database on either engine."""
    folder = tmp_path / "instance"
    folder.mkdir()
    keys = {"PORTAL_SECRET_KEY": "for tests", "PORTAL_ENCRYPTION_KEY": KEY}
    return PortalShell(
        command_runner, folder, PORTAL_DATABASE_URL=database_url, PORTAL_REDIS_URL=dedicated_redis_url, **keys
    )


def test_tables_are_downgraded_and_upgraded(shell_on_database_url: PortalShell) -> None:
    shell_on_database_url.import_accounts("P-1")
    assert shell_on_database_url.output_of("db", "downgrade", "base") == ""
    assert shell_on_database_url.error_of("config", "show") == NOT_SET_UP
    assert shell_on_database_url.output_of("db", "upgrade") == ""
    assert "imported" in shell_on_database_url.import_accounts("P-1")


def test_every_command_reports_missing_tables(command_runner: CommandRunner, tmp_path: Path) -> None:
    shell = PortalShell(command_runner, tmp_path / "new")
    body, people = tmp_path / "body.md", tmp_path / "people.csv"
    body.write_text("Dear {{ name }}")
    people.write_text("external_id,name,email,account_type\nP-1,Jordan,jordan@example.org,Provider\n")
    commands = [
        ("accounts", "create", "--email", "a@example.org"),
        ("templates", "create", "due", "--name", "N", "--subject", "S", "--body-file", str(body)),
        ("sends", "create", "due", "--all"),
        ("sends", "show", "1"),
        ("sends", "wait", "1"),
        ("config", "show"),
        ("config", "set", "EnableSmsNotifications", "true"),
        ("demo", "load"),
    ]
    assert {only_error_line(result) for result in shell.run_all(commands)} == {NOT_SET_UP}
    imported = shell.run("accounts", "import", str(people))
    assert imported.returncode == 1
    assert imported.stderr.splitlines()[-1] == NOT_SET_UP


def test_upgrade_leaves_newer_tables_alone(shell: PortalShell) -> None:
    with sqlite3.connect(shell.instance / "portal.sqlite") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    assert shell.output_of("db", "upgrade") == (
        "The tables are from a newer version (9999). This version runs on them as they are."
    )
    assert "EnableSmsNotifications" in shell.output_of("config", "show")


def test_command_on_older_tables_says_how_to_upgrade(shell_on_database_url: PortalShell, database_url: str) -> None:
    _execute(database_url, "ALTER TABLE app_setting DROP COLUMN expires_at_ms")
    assert (
        shell_on_database_url.error_of("config", "show")
        == "The tables are older than this version. Run: portal db upgrade"
    )


def test_totals_that_differ_from_a_recount_are_corrected(shell_on_database_url: PortalShell, database_url: str) -> None:
    assert shell_on_database_url.output_of("db", "check-totals") == "The totals equal a recount."
    _execute(
        database_url,
        "INSERT INTO delivery_total (send_id, channel, hour, lane, kind, state, reason, shard, count, segments)"
        " VALUES (7, 'sms', 0, 1, 'notification', 'ready', '', 0, 1200, 1500)",
    )
    difference = "send 7, sms, ready: -1,200 messages, -1,500 segments"
    checked = shell_on_database_url.run("db", "check-totals")
    assert (checked.returncode, checked.stdout.splitlines()) == (1, [difference])
    assert checked.stderr.strip() == (
        "Error: Totals that differ from a recount: 1. Run: portal db check-totals --repair"
    )
    repaired = shell_on_database_url.output_of("db", "check-totals", "--repair").splitlines()
    assert repaired == [difference, "Totals corrected: 1."]
    assert shell_on_database_url.output_of("db", "check-totals") == "The totals equal a recount."


def test_unknown_revision_is_refused_in_one_line(shell: PortalShell) -> None:
    unknown, too_far, again = (
        shell.run("db", "upgrade", "nonsense"),
        shell.run("db", "downgrade", "0000"),
        shell.run("db", "upgrade"),
    )
    assert "nonsense" in only_error_line(unknown)
    assert "0000" in only_error_line(too_far)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


def test_command_in_its_own_process_prints_the_same(shell: PortalShell) -> None:
    for words in (("config", "show"), ("sends", "show", "7")):
        alone, forked = shell.run_in_new_process(*words), shell.run(*words)
        assert (alone.returncode, alone.stdout, alone.stderr) == (forked.returncode, forked.stdout, forked.stderr)


@pytest.mark.parametrize(
    ("variables", "output"),
    [
        ({"PORTAL_ENV": "production", "PORTAL_SECRET_KEY": ""}, "Set PORTAL_SECRET_KEY"),
        ({"PORTAL_ENCRYPTION_KEY": "short"}, "PORTAL_ENCRYPTION_KEY must be"),
        ({"PORTAL_SMS_TIMEOUT": "soon"}, "PORTAL_SMS_TIMEOUT must be a number of seconds, not 'soon'"),
        ({"PORTAL_SMS_TIMEOUT": "60"}, "PORTAL_SMS_TIMEOUT must be less than half of PORTAL_SMS_LEASE"),
        ({"PORTAL_PUBLIC_URL": "portal.example.org"}, "PORTAL_PUBLIC_URL must be a full URL"),
    ],
)
def test_invalid_environment_variable_is_named(shell: PortalShell, variables: dict[str, str], output: str) -> None:
    keys = {"PORTAL_SECRET_KEY": "for tests", "PORTAL_ENCRYPTION_KEY": KEY}
    assert output in shell.error_of("config", "show", **{**keys, **variables})


@pytest.mark.parametrize("url", ["nonsense", "mysql://127.0.0.1/portal"])
def test_invalid_database_url_names_the_variable(shell: PortalShell, url: str) -> None:
    keys = {"PORTAL_SECRET_KEY": "for tests", "PORTAL_ENCRYPTION_KEY": KEY}
    assert "PORTAL_DATABASE_URL" in shell.error_of("config", "show", PORTAL_DATABASE_URL=url, **keys)


@pytest.mark.parametrize("arguments", [("db", "upgrade"), ("db", "downgrade"), ("worker", "sms")])
def test_prerelease_database_is_refused(
    shell_on_database_url: PortalShell, database_url: str, arguments: tuple[str, ...]
) -> None:
    shell_on_database_url.import_accounts("P-1")
    _execute(database_url, "UPDATE alembic_version SET version_num = '0021'")
    assert "before the first release" in shell_on_database_url.error_of(*arguments)
    assert _execute(database_url, "UPDATE account SET active = 0 WHERE external_id = 'P-1'") == 1


def _execute(database_url: str, statement: str) -> int:
    """Returns the number of changed rows."""
    engine = create_engine(database_url)
    with engine.begin() as connection:
        changed = connection.execute(text(statement)).rowcount
    engine.dispose()
    return changed

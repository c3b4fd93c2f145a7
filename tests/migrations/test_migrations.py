"""The migrations create the tables of the models, with their constraints."""

import re
from threading import Timer
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError

import portal.tables  # noqa: F401  registers all tables
from portal.core.extensions import Base, db
from portal.core.schema_version import is_in_models
from tests.support import servers

FOLDER = str(servers.ROOT / "migrations")
SCRIPTS = ScriptDirectory(FOLDER)
LOCK = int(
    re.findall(r"^_MIGRATION_LOCK_KEY = ([0-9_]+)", (servers.ROOT / "migrations/env.py").read_text(), re.MULTILINE)[0]
)
REVISIONS = [script.revision for script in SCRIPTS.walk_revisions()][::-1]
TABLES = sorted(Base.metadata.tables)
ACCOUNT = (
    "INSERT INTO account"
    " (id, external_id, name, email, account_type, role, timezone, active, fs_uniquifier, created_at_ms,"
    " external_id_folded, email_folded, search_folded)"
    " VALUES (:id, :external_id, 'A', 'a@example.org', 'T', 'user', 'UTC', 1, :external_id, 0,"
    " :external_id, 'a@example.org', 'a')"
)
NUMBER = (
    "INSERT INTO phone_number (id, account_id, number, label, receives_sms, created_at_ms)"
    " VALUES (:id, :account_id, '+12025550100', '', :receives_sms, 0)"
)


def tables() -> list[str]:
    names = set(inspect(db.engine).get_table_names()) - {"alembic_version"}
    return sorted(name for name in names if is_in_models(name, "table", None))


def schema_of_tables() -> dict[str, Any]:
    """Columns, keys and indexes in the database."""
    inspector = inspect(db.engine)
    return {
        table: (
            [(column["name"], str(column["type"]), column["nullable"]) for column in inspector.get_columns(table)],
            sorted(str(index["name"]) for index in inspector.get_indexes(table)),
            sorted(str(key["name"]) for key in inspector.get_foreign_keys(table)),
            sorted(str(unique["name"]) for unique in inspector.get_unique_constraints(table)),
        )
        for table in tables()
    }


def execute(statement: str, **values: Any) -> Any:
    with db.engine.begin() as connection:
        return connection.execute(text(statement), values)


@pytest.fixture
def two_accounts(app: Flask) -> None:
    execute(ACCOUNT, id=1, external_id="P-1")
    execute(ACCOUNT, id=2, external_id="P-2")


def test_migrations_have_no_branches() -> None:
    assert len(SCRIPTS.get_heads()) == 1
    assert len(SCRIPTS.get_bases()) == 1
    assert Config(f"{FOLDER}/alembic.ini")


def test_upgrade_after_downgrade_gives_the_same_schema(empty_app: Flask) -> None:
    upgrade(directory=FOLDER)
    assert tables() == TABLES
    first = schema_of_tables()
    downgrade(directory=FOLDER, revision="base")
    assert tables() == []
    upgrade(directory=FOLDER)
    assert schema_of_tables() == first


def test_every_migration_can_be_downgraded(empty_app: Flask) -> None:
    schemas = []
    for revision in REVISIONS:
        schemas.append(schema_of_tables())
        upgrade(directory=FOLDER, revision=revision)
    for before in reversed(schemas):
        downgrade(directory=FOLDER)
        assert schema_of_tables() == before


def test_second_upgrade_keeps_the_data(app: Flask, two_accounts: None) -> None:
    upgrade(directory=FOLDER)
    assert execute("SELECT count(*) FROM account").scalar() == 2


def test_second_upgrade_waits_for_the_first(
    empty_app: Flask, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another connection holds the lock, and releases it after the upgrade has tried to take it."""
    first = db.engine.connect()
    sqlite = first.dialect.name == "sqlite"
    driver: Any = first.connection.driver_connection
    driver.execute("BEGIN IMMEDIATE" if sqlite else f"SELECT pg_advisory_lock({LOCK})")
    if sqlite:
        Timer(0.2, first.close).start()
    else:
        driver.commit()
        monkeypatch.setattr("time.sleep", lambda _seconds: first.invalidate())
    upgrade(directory=FOLDER)
    assert tables() == TABLES
    message = capsys.readouterr().err
    assert sqlite or message.startswith("Another process is upgrading the database; waiting for it to finish.")


def test_database_schema_matches_the_models(app: Flask) -> None:
    with db.engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True, "include_name": is_in_models}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Base.metadata) == []


def test_column_missing_in_the_database_is_detected(app: Flask) -> None:
    execute("ALTER TABLE phone_state DROP COLUMN unreachable_code")
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": is_in_models})
        (difference,) = compare_metadata(context, Base.metadata)
    assert (difference[0], difference[2], difference[3].name) == ("add_column", "phone_state", "unreachable_code")


def test_database_has_every_index_and_key_of_the_models(app: Flask) -> None:
    sqlite = db.engine.dialect.name == "sqlite"
    query = "SELECT name FROM sqlite_master WHERE type = 'index'" if sqlite else "SELECT indexname FROM pg_indexes"
    indexes = set(execute(query).scalars())
    for table in Base.metadata.sorted_tables:
        keys = {key["name"] for key in inspect(db.engine).get_foreign_keys(table.name)}
        assert {index.name for index in table.indexes} <= indexes
        assert {key.name for key in table.foreign_key_constraints} == keys


def test_every_table_on_sqlite_is_strict(app: Flask) -> None:
    if db.engine.dialect.name != "sqlite":
        assert tables() == TABLES
        return
    rows = execute("SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND type = 'table'").all()
    assert sorted(row.name for row in rows if row.strict) == TABLES
    assert {row.name for row in rows if not row.strict} <= {"alembic_version", "sqlite_schema", "sqlite_sequence"}


def test_integer_column_rejects_text(app: Flask) -> None:
    with pytest.raises(Exception, match=r"cannot store TEXT value|invalid input syntax"):
        execute("INSERT INTO phone_state (number, stopped_at_ms) VALUES ('+12025550100', 'yesterday')")


def test_phone_number_receives_sms_on_one_account_only(app: Flask, two_accounts: None) -> None:
    execute(NUMBER, id=1, account_id=1, receives_sms=1)
    with pytest.raises(IntegrityError):
        execute(NUMBER, id=2, account_id=2, receives_sms=1)
    execute(NUMBER, id=2, account_id=2, receives_sms=0)
    with pytest.raises(IntegrityError):
        execute("UPDATE phone_number SET receives_sms = 1")
    assert execute("SELECT account_id FROM phone_number WHERE receives_sms = 1").all() == [(1,)]


def test_another_account_may_receive_sms_after_the_first(app: Flask, two_accounts: None) -> None:
    execute(NUMBER, id=1, account_id=1, receives_sms=1)
    execute(NUMBER, id=2, account_id=2, receives_sms=0)
    execute("UPDATE phone_number SET receives_sms = 0 WHERE id = 1")
    execute("UPDATE phone_number SET receives_sms = 1 WHERE id = 2")
    assert execute("SELECT account_id FROM phone_number WHERE receives_sms = 1").all() == [(2,)]


def test_phone_number_is_unique_on_an_account(app: Flask, two_accounts: None) -> None:
    execute(NUMBER, id=1, account_id=1, receives_sms=0)
    with pytest.raises(IntegrityError):
        execute(NUMBER, id=2, account_id=1, receives_sms=0)


def test_foreign_keys_are_enforced(app: Flask) -> None:
    with pytest.raises(IntegrityError):
        execute(NUMBER, id=1, account_id=7, receives_sms=0)


def test_external_id_is_unique(app: Flask) -> None:
    execute(ACCOUNT, id=1, external_id="P-1")
    with pytest.raises(IntegrityError):
        execute(ACCOUNT, id=2, external_id="P-1")

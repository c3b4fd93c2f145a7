"""Runs the migrations with Alembic: one process at a time, and on SQLite in batch mode without foreign keys.

Rebuilding a table with foreign keys on deletes its child rows (docs/reliability.md#migrations-on-sqlite).
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from alembic import context
from flask import current_app
from sqlalchemy import Connection

import portal.tables  # noqa: F401  registers every table
from portal.core.extensions import Base, db
from portal.core.schema_version import is_in_models

_MIGRATION_LOCK_KEY = 7_029_461_133_906  # any number that no other lock in this database uses
_POLL_SECONDS = 0.5
_LOCK_TIMEOUT_MS = 600_000
_DISABLE_TRANSACTION_TIMEOUT = (
    "SELECT set_config('transaction_timeout', '0', false) FROM pg_settings WHERE name = 'transaction_timeout'"
)
"""From PostgreSQL 17. The limit is not restored, because the connection ends with the command."""


def run() -> None:
    with db.engine.connect() as connection:
        sqlite = connection.dialect.name == "sqlite"
        with _exclusive_on_sqlite(connection) if sqlite else _exclusive_on_postgresql(connection):
            context.configure(
                connection=connection,
                target_metadata=Base.metadata,
                render_as_batch=sqlite,
                compare_type=False,
                include_name=is_in_models,
                transaction_per_migration=not sqlite,
            )
            with context.begin_transaction():
                context.run_migrations()
            connection.commit()


@contextmanager
def _exclusive_on_sqlite(connection: Connection) -> Iterator[None]:
    """Take the write lock before the first read: a second process waits, and finds the migrations done."""
    connection.execution_options(immediate=True)
    _pragma(connection, "foreign_keys", "OFF")
    _pragma(connection, "busy_timeout", str(_LOCK_TIMEOUT_MS))
    yield
    _check_foreign_keys(connection)
    _pragma(connection, "foreign_keys", "ON")


@contextmanager
def _exclusive_on_postgresql(connection: Connection) -> Iterator[None]:
    """Use a session lock, because each migration has its own transaction."""
    has_reported = False
    timeout = connection.exec_driver_sql("SHOW statement_timeout").scalar()
    connection.exec_driver_sql("SET statement_timeout = 0")
    connection.exec_driver_sql(_DISABLE_TRANSACTION_TIMEOUT)
    while not connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({_MIGRATION_LOCK_KEY})").scalar():
        connection.commit()
        if not has_reported:
            print("Another process is upgrading the database; waiting for it to finish.", file=sys.stderr)
            has_reported = True
        time.sleep(_POLL_SECONDS)
    connection.commit()
    try:
        yield
    finally:
        connection.rollback()
        connection.exec_driver_sql(f"SELECT pg_advisory_unlock({_MIGRATION_LOCK_KEY})")
        connection.exec_driver_sql(f"SET statement_timeout = '{timeout}'")
        connection.commit()


def _pragma(connection: Connection, name: str, value: str) -> None:
    """Use the driver directly, because SQLite ignores some pragmas inside a transaction."""
    driver: Any = connection.connection.driver_connection
    driver.execute(f"PRAGMA {name}={value}")


def _check_foreign_keys(connection: Connection) -> None:
    driver: Any = connection.connection.driver_connection
    violations = driver.execute("PRAGMA foreign_key_check").fetchall()
    if violations:
        current_app.logger.error("migration left rows that violate foreign keys: %s", violations[:5])
        raise RuntimeError("migration left rows that violate foreign keys")


run()

"""How Alembic runs our migrations: on SQLite in batches, with foreign keys off while a table is rebuilt.

A table that is rebuilt with foreign keys on takes its children with it (RELIABILITY.md 4.5).
"""

from typing import Any

from alembic import context
from flask import current_app
from sqlalchemy import Connection

import portal.models  # noqa: F401  registers every table
from portal.extensions import Base, db


def run() -> None:
    with db.engine.connect() as connection:
        sqlite = connection.dialect.name == "sqlite"
        if sqlite:
            _foreign_keys(connection, "OFF")
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=sqlite,
            compare_type=False,
            transaction_per_migration=not sqlite,
        )
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()
        if sqlite:
            _check(connection)
            _foreign_keys(connection, "ON")


def _foreign_keys(connection: Connection, value: str) -> None:
    """SQLite ignores this inside a transaction, so it goes to the driver directly."""
    driver: Any = connection.connection.driver_connection
    driver.execute(f"PRAGMA foreign_keys={value}")


def _check(connection: Connection) -> None:
    driver: Any = connection.connection.driver_connection
    broken = driver.execute("PRAGMA foreign_key_check").fetchall()
    if broken:
        current_app.logger.error("a migration left rows without their parents: %s", broken[:5])
        raise RuntimeError("a migration left rows without their parents")


run()

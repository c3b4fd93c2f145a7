"""Flask extensions, unbound, and how the two database engines are opened."""

import sqlite3
import time
from typing import Any

from flask_migrate import Migrate
from flask_security import Security
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
from sqlalchemy import Connection, Engine, MetaData, event
from sqlalchemy.orm import DeclarativeBase

from portal import clock

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
_SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    # FULL: a committed claim must survive a power cut, or a text could leave twice (RELIABILITY.md 4.2)
    "PRAGMA synchronous=FULL",
    "PRAGMA busy_timeout=10000",
    "PRAGMA foreign_keys=ON",
    "PRAGMA trusted_schema=OFF",
    "PRAGMA temp_store=MEMORY",
)
_NEW_CONNECTION_SECONDS, _ASKS = 600, 3
_POSTGRES_OPTIONS = (
    "-c statement_timeout=30000 -c lock_timeout=5000 -c idle_in_transaction_session_timeout=30000 "
    "-c tcp_keepalives_idle=20 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3"
)
_LONGEST_TRANSACTION = """
    SELECT set_config('transaction_timeout', '60s', false) FROM pg_settings WHERE name = 'transaction_timeout'
"""
"""From PostgreSQL 17 on. A host that is cut off in the middle of a batch holds its locks, and no other limit ends that:
the server waits for the rest of the batch, which is neither a statement nor idleness."""


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)


db = SQLAlchemy(model_class=Base)
migrate = Migrate()
security = Security()
csrf = CSRFProtect()


def engine_options(database_url: str) -> dict[str, Any]:
    if database_url.startswith("sqlite"):
        return {
            "connect_args": {"isolation_level": None, "timeout": 10, "check_same_thread": False},
            "hide_parameters": True,
        }
    return {
        "connect_args": {"options": _POSTGRES_OPTIONS},
        "pool_pre_ping": True,
        "pool_size": 10,
        "pool_recycle": _NEW_CONNECTION_SECONDS,
        "hide_parameters": True,
    }


@event.listens_for(Engine, "connect")
def _open(connection: Any, _record: Any) -> None:
    if isinstance(connection, sqlite3.Connection):
        clock.disagree()
        for pragma in _SQLITE_PRAGMAS:
            connection.execute(pragma).close()
    else:
        connection.execute(_LONGEST_TRANSACTION)
        _agree_on_the_time(connection)


def _agree_on_the_time(connection: Any) -> None:
    """Asked at each new connection, and connections are renewed often enough for clocks that drift.

    Of a few answers the quickest tells best.
    """
    with connection.cursor() as cursor:
        told = [_ask_the_time(cursor) for _ in range(_ASKS)]
    connection.commit()
    clock.agree(*min(told, key=lambda answer: answer[2] - answer[1]))


def _ask_the_time(cursor: Any) -> tuple[int, int, int]:
    """Microseconds since 1970 as the database has it, and this host's monotonic nanoseconds before and after."""
    asked_ns = time.monotonic_ns()
    cursor.execute("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
    return cursor.fetchone()[0], asked_ns, time.monotonic_ns()


@event.listens_for(Engine, "begin")
def _begin_sqlite(connection: Connection) -> None:
    """Writers take the lock at once: a read that turns into a write is refused by SQLite, whatever its time-out."""
    if connection.dialect.name == "sqlite":
        immediate = connection.get_execution_options().get("immediate")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

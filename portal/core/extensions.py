"""Flask extensions, not yet bound to an app, and the connection settings of both database engines."""

import re
import sqlite3
import time
from typing import Any

from flask_migrate import Migrate
from flask_security import Security
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
from sqlalchemy import Connection, Engine, MetaData, event, text
from sqlalchemy.orm import DeclarativeBase

from portal.core import clock

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
_SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    # FULL: a committed claim must survive a power cut, or a text could leave twice (docs/reliability.md#sqlite)
    "PRAGMA synchronous=FULL",
    "PRAGMA busy_timeout=10000",
    "PRAGMA foreign_keys=ON",
    "PRAGMA trusted_schema=OFF",
    "PRAGMA temp_store=MEMORY",
)
_POOL_RECYCLE_SECONDS, _CLOCK_SAMPLES = 600, 3
SESSION_TIMEOUTS = {
    "statement_timeout": "30s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "30s",
    # From PostgreSQL 17. No other limit frees the locks of a host that is cut off in the middle of a batch: while the
    # server waits for the rest of it, the session is neither running a statement nor idle.
    "transaction_timeout": "60s",
    "tcp_keepalives_idle": "20",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}
_SET_TIMEOUTS_SQL = """
    SELECT set_config(name, new.value, false)
    FROM unnest(%s::text[], %s::text[]) AS new (name, value) JOIN pg_settings USING (name)
"""
_CONNECT_SECONDS = 10


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)


db = SQLAlchemy(model_class=Base)
migrate = Migrate()
security = Security()
csrf = CSRFProtect()


def engine_options(database_url: str) -> dict[str, Any]:
    if database_url.startswith("sqlite"):
        connect_args = {"isolation_level": None, "timeout": 10, "check_same_thread": False}
        return {"connect_args": connect_args, "hide_parameters": True}
    return {
        "connect_args": {} if "connect_timeout=" in database_url else {"connect_timeout": _CONNECT_SECONDS},
        "pool_pre_ping": True,
        "pool_size": 10,
        "pool_recycle": _POOL_RECYCLE_SECONDS,
        "hide_parameters": True,
    }


@event.listens_for(Engine, "connect")
def _configure_connection(connection: Any, _record: Any) -> None:
    if isinstance(connection, sqlite3.Connection):
        clock.use_host_clock()
        for pragma in _SQLITE_PRAGMAS:
            connection.execute(pragma).close()
    else:
        _set_timeouts(connection)
        _sync_clock(connection)


def startup_options(connection: Any) -> dict[str, str]:
    """Settings that the URL or PGOPTIONS passes as `options=-c name=value`."""
    options = connection.info.options.replace("\\ ", " ")
    return dict(re.findall(r"(?:-c\s*|--)([\w.]+)=(\S+)", options))


def _set_timeouts(connection: Any) -> None:
    """Use statements, because poolers refuse or drop startup options. The operator's own options are kept."""
    timeouts = {name: value for name, value in SESSION_TIMEOUTS.items() if name not in startup_options(connection)}
    connection.execute(_SET_TIMEOUTS_SQL, [list(timeouts), list(timeouts.values())])


def missing_timeouts(connection: Connection) -> list[str]:
    """Names of the timeouts that are not set on this connection."""
    if connection.dialect.name != "postgresql":
        return []
    names = [name for name in SESSION_TIMEOUTS if name.endswith("_timeout")]
    query = text("SELECT name FROM pg_settings WHERE name = ANY(:names) AND setting = '0' ORDER BY name")
    return list(connection.scalars(query, {"names": names}))


def _sync_clock(connection: Any) -> None:
    """Use the fastest of a few samples. Connections are recycled often enough to follow clock drift."""
    with connection.cursor() as cursor:
        samples = [_sample_database_clock(cursor) for _ in range(_CLOCK_SAMPLES)]
    connection.commit()
    clock.sync_to_database(*min(samples, key=lambda sample: sample[2] - sample[1]))


def _sample_database_clock(cursor: Any) -> tuple[int, int, int]:
    """Database time in microseconds since 1970, and this host's monotonic nanoseconds before and after reading it."""
    requested_ns = time.monotonic_ns()
    cursor.execute("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
    return cursor.fetchone()[0], requested_ns, time.monotonic_ns()


@event.listens_for(Engine, "begin")
def _begin_sqlite(connection: Connection) -> None:
    """Writers lock at once: SQLite refuses to upgrade a read transaction to a write, whatever the busy timeout."""
    if connection.dialect.name == "sqlite":
        immediate = connection.get_execution_options().get("immediate")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

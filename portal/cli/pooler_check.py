"""Whether each connection to PostgreSQL keeps a session of its own, and the options that its address asks for.

A pooler that shares connections between transactions (PgBouncer's pool_mode = transaction) answers everything, and
loses time limits and locks without a word. It shows by what it does: another connection sees what was noted in our
session.
"""

import secrets
from contextlib import suppress
from threading import Thread
from typing import Any

import psycopg
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from portal.core.extensions import engine_options, startup_options
from portal.core.rules.connection_errors import SHARED_POOLER_SESSIONS
from portal.processes import StartupError

_ATTEMPTS = 5
_TIMEOUT_SECONDS = 10.0
_SESSION_VARIABLE = "portal.session"


def check_pooler(database_url: str) -> None:
    """Raises `StartupError`; lets the driver's errors pass. Nothing to check on SQLite."""
    if database_url.startswith("sqlite"):
        return
    engine = create_engine(database_url, poolclass=NullPool, **_connection_options(database_url))
    with engine.connect() as connection:
        first: Any = connection.connection.driver_connection
        _check_options(first)
        if _is_behind_pooler(first) and _shares_sessions(engine, first):
            raise StartupError(str(SHARED_POOLER_SESSIONS))


def _connection_options(database_url: str) -> dict[str, Any]:
    return {name: engine_options(database_url)[name] for name in ("connect_args", "hide_parameters")}


def _check_options(connection: Any) -> None:
    """A pooler may be told to drop what it does not know."""
    for name, value in startup_options(connection).items():
        holds = _scalar(connection, "SELECT current_setting(%s, true)", name)
        wanted = _scalar(connection, "SELECT set_config(%s, %s, true)", name, value)
        connection.rollback()
        if holds != wanted:
            raise StartupError(
                f"The pooler in PORTAL_DATABASE_URL drops the option {name} of that address. "
                f"Take it out, and give it to the role instead: ALTER ROLE … SET {name} = …"
            )


def _is_behind_pooler(connection: Any) -> bool:
    """PostgreSQL tells a client its process's number; a pooler makes one up, since the process may change."""
    told = connection.info.backend_pid
    serving = _scalar(connection, "SELECT pg_backend_pid()")
    connection.rollback()
    return bool(told != serving)


def _shares_sessions(engine: Engine, first: Any) -> bool:
    """False as well where the pooler has no second connection to give: what waits for one cannot be told."""
    token, found = secrets.token_hex(8), []
    _scalar(first, f"SELECT set_config('{_SESSION_VARIABLE}', %s, false)", token)
    first.commit()

    def look() -> None:
        with suppress(DBAPIError, psycopg.Error):
            found.append(_session_is_shared(engine, first, token))

    looking = Thread(target=look, daemon=True)
    looking.start()
    looking.join(_TIMEOUT_SECONDS)
    return bool(found and found[0])


def _session_is_shared(engine: Engine, first: Any, token: str) -> bool:
    """While another connection is in the middle of a transaction, it has ours, or we get another one."""
    for _ in range(_ATTEMPTS):
        with engine.connect() as second:
            if (
                _read_session_variable(second.connection.driver_connection) == token
                or _read_session_variable(first) != token
            ):
                return True
        first.rollback()
    return False


def _read_session_variable(connection: Any) -> object:
    return _scalar(connection, f"SELECT current_setting('{_SESSION_VARIABLE}', true)")


def _scalar(connection: Any, query: str, *values: str) -> object:
    row = connection.execute(query, values).fetchone()
    return row and row[0]

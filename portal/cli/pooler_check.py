"""Checks that each connection to PostgreSQL has its own session and keeps the options in its URL.

A pooler that shares sessions between transactions (PgBouncer's pool_mode = transaction) silently loses timeouts and
locks. The check sets a variable in one session and looks for it in another.
"""

import secrets
from contextlib import suppress
from threading import Thread
from typing import Any

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
    """Raises `StartupError`, and the driver's errors. Does nothing for SQLite."""
    if database_url.startswith("sqlite"):
        return
    options = {name: engine_options(database_url)[name] for name in ("connect_args", "hide_parameters")}
    engine = create_engine(database_url, poolclass=NullPool, **options)
    with engine.connect() as connection:
        first: Any = connection.connection.driver_connection
        _check_options(first)
        if _is_behind_pooler(first) and _shares_sessions(engine, first):
            raise StartupError(str(SHARED_POOLER_SESSIONS))


def _check_options(connection: Any) -> None:
    """Poolers can be configured to drop options they do not know."""
    for name, value in startup_options(connection).items():
        actual = _scalar(connection, "SELECT current_setting(%s, true)", name)
        expected = _scalar(connection, "SELECT set_config(%s, %s, true)", name, value)
        connection.rollback()
        if actual != expected:
            raise StartupError(
                f"The pooler in PORTAL_DATABASE_URL drops the option {name} of that address. "
                f"Remove it there, and set it for the role instead: ALTER ROLE … SET {name} = …"
            )


def _is_behind_pooler(connection: Any) -> bool:
    """Compare process ids: a pooler makes one up for the client, because the server process may change."""
    server_pid = _scalar(connection, "SELECT pg_backend_pid()")
    connection.rollback()
    return bool(connection.info.backend_pid != server_pid)


def _shares_sessions(engine: Engine, first: Any) -> bool:
    """Return False too if the pooler has no second connection to give: the check would wait for it forever."""
    import psycopg  # only here, because it takes 8 MB, and nobody else needs it with SQLite

    token, results = secrets.token_hex(8), []
    _scalar(first, f"SELECT set_config('{_SESSION_VARIABLE}', %s, false)", token)
    first.commit()

    def check() -> None:
        with suppress(DBAPIError, psycopg.Error):
            results.append(_session_is_shared(engine, first, token))

    thread = Thread(target=check, daemon=True)
    thread.start()
    thread.join(_TIMEOUT_SECONDS)
    return any(results)


def _session_is_shared(engine: Engine, first: Any, token: str) -> bool:
    """While a second connection is in a transaction, check whether it has our session or we get a different one."""
    for _ in range(_ATTEMPTS):
        with engine.connect() as second:
            second_value = _read_session_variable(second.connection.driver_connection)
            if second_value == token or _read_session_variable(first) != token:
                return True
        first.rollback()
    return False


def _read_session_variable(connection: Any) -> object:
    return _scalar(connection, f"SELECT current_setting('{_SESSION_VARIABLE}', true)")


def _scalar(connection: Any, query: str, *values: str) -> object:
    row = connection.execute(query, values).fetchone()
    return row and row[0]

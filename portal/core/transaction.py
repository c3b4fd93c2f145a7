"""One transaction that writes. Everything in it happens, or nothing does."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from portal.core.extensions import db

_TRANSACTION_TIMEOUT_VERSION = (17,)
"""The first PostgreSQL that can limit a whole transaction."""


@contextmanager
def transaction(timeout_seconds: int | None = None) -> Iterator[Session]:
    """Leaves any read transaction behind, takes the write lock at once (SQLite), commits at the end.

    Objects loaded before are read afresh. Not to be nested; nothing slow and no call to the outside belongs inside.
    `timeout_seconds` is for locks that others wait for: when this host is cut off, PostgreSQL frees them after so long
    (a minute otherwise), and this host, if it is only slow, finds its connection closed.
    """
    session = db.session()
    session.rollback()
    connection = session.connection(execution_options={"immediate": True})
    if timeout_seconds:
        _set_timeout(connection, timeout_seconds)
    try:
        yield session
        session.commit()
    except BaseException:
        session.rollback()
        raise


def _set_timeout(connection: Connection, seconds: int) -> None:
    dialect = connection.dialect
    if dialect.name == "postgresql" and (dialect.server_version_info or ()) >= _TRANSACTION_TIMEOUT_VERSION:
        # a timer that runs is not set anew: it is stopped first
        connection.exec_driver_sql(f"SET LOCAL transaction_timeout = 0; SET LOCAL transaction_timeout = '{seconds:d}s'")

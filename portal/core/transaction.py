"""Write transactions."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from portal.core import audit_log
from portal.core.extensions import db
from portal.core.log_integrity import mac_writing

_TRANSACTION_TIMEOUT_VERSION = (17,)
"""The first PostgreSQL that can limit a whole transaction."""


@contextmanager
def transaction(timeout_seconds: int | None = None) -> Iterator[Session]:
    """End any read transaction, take the write lock at once (SQLite), and commit at the end.

    Objects loaded before are expired. Do not nest it, and do nothing slow and no network call inside. What is recorded
    in the logs is added last, each with its MAC (ADR 63).
    Set `timeout_seconds` if other processes wait for the locks: if this host is cut off, PostgreSQL frees them after
    that time instead of a minute; if it is only slow, it finds its connection closed.
    """
    session = db.session()
    session.rollback()
    _forget_recorded()
    connection = session.connection(execution_options={"immediate": True})
    if timeout_seconds:
        _set_timeout(connection, timeout_seconds)
    try:
        yield session
        audit_log.add_pending_entries()
        mac_writing.add_noted_macs()
        session.commit()
    except BaseException:
        session.rollback()
        _forget_recorded()
        raise


def _forget_recorded() -> None:
    audit_log.forget_pending_entries()
    mac_writing.forget_noted()


def _set_timeout(connection: Connection, seconds: int) -> None:
    dialect = connection.dialect
    if dialect.name == "postgresql" and (dialect.server_version_info or ()) >= _TRANSACTION_TIMEOUT_VERSION:
        # a running timer ignores a new value, so stop it first
        connection.exec_driver_sql(f"SET LOCAL transaction_timeout = 0; SET LOCAL transaction_timeout = '{seconds:d}s'")

"""PostgreSQL ends transactions that take too long."""

import pytest
from flask import Flask
from sqlalchemy.exc import InternalError

from portal.core.extensions import db
from portal.core.transaction import transaction

_LOCK = "LOCK TABLE sending_number IN ACCESS EXCLUSIVE MODE"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_every_transaction_has_a_timeout(app: Flask) -> None:
    """A host that is cut off in the middle of a batch is neither idle nor running a statement."""
    with db.engine.connect() as connection:
        query = "SELECT name, setting FROM pg_settings WHERE name IN ('transaction_timeout', 'lock_timeout')"
        timeouts: dict[str, str] = {name: setting for name, setting in connection.exec_driver_sql(query)}
    assert timeouts == {"transaction_timeout": "60000", "lock_timeout": "5000"}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_transaction_timeout_frees_the_locks(app: Flask) -> None:
    with pytest.raises(InternalError, match="transaction timeout"):
        _lock_twice()


def _lock_twice() -> None:
    """First in a transaction that stays open too long, then in one that waits for five seconds at most."""
    with transaction(timeout_seconds=1) as session:
        session.connection().exec_driver_sql(_LOCK)
        with db.engine.begin() as waiting:
            waiting.exec_driver_sql(_LOCK)
        session.connection().exec_driver_sql("SELECT 1")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_timeout_applies_to_one_transaction_only(app: Flask) -> None:
    query = "SHOW transaction_timeout"
    with transaction(timeout_seconds=10) as session:
        assert session.connection().exec_driver_sql(query).scalar_one() == "10s"
    with transaction() as session:
        assert session.connection().exec_driver_sql(query).scalar_one() == "1min"

"""What PostgreSQL does with a transaction that nobody ends."""

import pytest
from flask import Flask
from sqlalchemy.exc import InternalError

from portal.core.extensions import db
from portal.core.transaction import transaction

_LOCK = "LOCK TABLE sending_number IN ACCESS EXCLUSIVE MODE"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_no_transaction_holds_its_locks_for_ever(app: Flask) -> None:
    """Whatever stands in its way: a host cut off in the middle of a batch is neither idle nor running a statement."""
    with db.engine.connect() as connection:
        limits = "SELECT name, setting FROM pg_settings WHERE name IN ('transaction_timeout', 'lock_timeout')"
        found = dict(connection.exec_driver_sql(limits).all())
    assert found == {"transaction_timeout": "60000", "lock_timeout": "5000"}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_who_is_cut_off_in_a_short_transaction_keeps_others_waiting_for_no_longer(app: Flask) -> None:
    with pytest.raises(InternalError, match="transaction timeout"):
        _lock_twice()


def _lock_twice() -> None:
    """Once in a transaction that is left open for too long, once by somebody who waits for five seconds at most."""
    with transaction(timeout_seconds=1) as session:
        session.connection().exec_driver_sql(_LOCK)
        with db.engine.begin() as another:
            another.exec_driver_sql(_LOCK)
        session.connection().exec_driver_sql("SELECT 1")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_next_transaction_of_the_same_connection_may_take_its_time(app: Flask) -> None:
    limit = "SHOW transaction_timeout"
    with transaction(timeout_seconds=10) as session:
        assert session.connection().exec_driver_sql(limit).scalar_one() == "10s"
    with transaction() as session:
        assert session.connection().exec_driver_sql(limit).scalar_one() == "1min"

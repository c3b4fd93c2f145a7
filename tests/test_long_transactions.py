"""What PostgreSQL does with a transaction that nobody ends."""

import pytest
from flask import Flask

from portal.extensions import db


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_no_transaction_holds_its_locks_for_ever(app: Flask) -> None:
    """Whatever stands in its way: a host cut off in the middle of a batch is neither idle nor running a statement."""
    with db.engine.connect() as connection:
        limits = "SELECT name, setting FROM pg_settings WHERE name IN ('transaction_timeout', 'lock_timeout')"
        found = dict(connection.exec_driver_sql(limits).all())
    assert found == {"transaction_timeout": "60000", "lock_timeout": "5000"}

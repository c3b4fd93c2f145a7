"""One transaction that writes. Everything in it happens, or nothing does."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from portal.extensions import db


@contextmanager
def transaction() -> Iterator[Session]:
    """Leaves any read transaction behind, takes the write lock at once (SQLite), commits at the end.

    Objects loaded before are read afresh. Not to be nested; nothing slow and no call to the outside belongs inside.
    """
    session = db.session()
    session.rollback()
    session.connection(execution_options={"immediate": True})
    try:
        yield session
        session.commit()
    except BaseException:
        session.rollback()
        raise

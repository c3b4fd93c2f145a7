"""One test after the other uses a PostgreSQL database by the same connections.

A server process of theirs has read the catalogue by then, which costs it more than most tests ask of it.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import event
from sqlalchemy.engine import Engine

from portal.core import clock, extensions


@contextlib.contextmanager
def cached_engines() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SQLAlchemy, "_make_engine", _cached_engine_factory(SQLAlchemy._make_engine))
        yield


def _cached_engine_factory(make_anew: Callable[..., Engine]) -> Callable[..., Engine]:
    known: dict[str, Engine] = {}

    def make(extension: SQLAlchemy, bind_key: str | None, options: dict[str, Any], app: Flask) -> Engine:
        if not str(options["url"]).startswith("postgresql"):
            return make_anew(extension, bind_key, options, app)
        key = repr([(name, str(options[name])) for name in sorted(options)])
        if key not in known:
            # the last one first: rows lie in the order of writing where one connection wrote them, as on a new database
            known[key] = make_anew(extension, bind_key, {**options, "pool_use_lifo": True}, app)
            event.listen(known[key], "checkout", _resync_clock)
        return known[key]

    return make


def _resync_clock(connection: Any, *_: object) -> None:
    """A test on SQLite, which goes by this host's own clock, may have come between."""
    if clock._offset_us is None:
        extensions._sync_clock(connection)

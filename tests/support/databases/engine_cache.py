"""Tests reuse the connections to a PostgreSQL database.

A new server process must read the catalogue first, which takes longer than most tests.
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


def _cached_engine_factory(make_engine: Callable[..., Engine]) -> Callable[..., Engine]:
    engines: dict[str, Engine] = {}

    def make(extension: SQLAlchemy, bind_key: str | None, options: dict[str, Any], app: Flask) -> Engine:
        if not str(options["url"]).startswith("postgresql"):
            return make_engine(extension, bind_key, options, app)
        key = repr([(name, str(options[name])) for name in sorted(options)])
        if key not in engines:
            # LIFO: one connection writes the rows, so they are stored in the order of writing, as in a new database
            engines[key] = make_engine(extension, bind_key, {**options, "pool_use_lifo": True}, app)
            event.listen(engines[key], "checkout", _resync_clock)
        return engines[key]

    return make


def _resync_clock(connection: Any, *_: object) -> None:
    """A test on SQLite, which uses this host's clock, may have run in between."""
    if clock._offset_us is None:
        extensions._sync_clock(connection)

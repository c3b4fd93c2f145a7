"""Searches and pages of communications at 1,000 and at 1,000,000 rows, on both databases, by turns in one run.

Measured is the CPU time of the web process and of PostgreSQL's process for it, which another load hardly changes.
`SEARCH_DATABASES` names a folder in which the databases are kept, because a million rows take minutes to make.
"""

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text

from benchmarks import pages, targets
from benchmarks.environment import PUBLIC_URL
from benchmarks.searching import many_communications
from benchmarks.searching.databases import ENGINES, open_database
from portal.accounts.tables.accounts import Account
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.core.keyset import newest_first
from portal.messages.tables.communications import Communication
from portal.records.rules.search_line import Viewer, parse_search_line
from portal.records.tables.communication_search import search_page

SIZES = (1_000, 1_000_000)
REPEATS = 20
_WARM_UP = 2
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
    "dashboard": "/Admin",
    "sends": "/Admin/Sends",
    "queues": "/SysAdmin/Queues",
    "metrics": "/metrics",
}
_WORDS = (
    "name",
    "account number",
    "word of personal subjects",
    "subject of a send",
    "word that matches nothing",
    "word that matches everybody",
)


_PAGE_SIZE = 30


@dataclass
class Measured:
    """Milliseconds of each request, by name of the path, and of each search for words alone."""

    app: Flask
    pages_ms: dict[str, list[float]] = field(default_factory=dict)
    searches_ms: dict[str, list[float]] = field(default_factory=dict)


def run() -> list[str]:
    with contextlib.ExitStack() as stack:
        folder = Path(os.environ.get("SEARCH_DATABASES") or stack.enter_context(tempfile.TemporaryDirectory()))
        measured = {
            (engine, size): Measured(open_database(folder, engine, size, stack)) for engine in ENGINES for size in SIZES
        }
        for turn in range(_WARM_UP + REPEATS):
            for one in measured.values():
                _measure(one, turn >= _WARM_UP)
    return _lines(measured)


def _measure(measured: Measured, is_counted: bool) -> None:
    client, backend_id = _signed_in(measured.app)
    for name, path in PATHS.items():
        page_ms = _cpu_ms(backend_id, lambda path=path: _request(client, path))  # type: ignore[misc]
        if is_counted:
            measured.pages_ms.setdefault(name, []).append(page_ms)
    with measured.app.app_context():
        for name in _WORDS:
            line = parse_qs(urlsplit(PATHS[name]).query)["q"][0]
            search_ms = _cpu_ms(backend_id, lambda line=line: _search(line))  # type: ignore[misc]
            if is_counted:
                measured.searches_ms.setdefault(name, []).append(search_ms)
        db.session.remove()


def _cpu_ms(backend_id: int, work: Callable[[], None]) -> float:
    before = _cpu_ns(backend_id)
    work()
    return (_cpu_ns(backend_id) - before) / 1_000_000


def _cpu_ns(backend_id: int) -> int:
    """Of this process, and of PostgreSQL's if there is one. Linux alone tells the time of another process."""
    schedule = Path(f"/proc/{backend_id}/schedstat")
    if backend_id and not schedule.exists():
        return time.perf_counter_ns()
    return time.process_time_ns() + (int(schedule.read_text().split()[0]) if backend_id else 0)


def _request(client: FlaskClient, path: str) -> None:
    response = client.get(path, base_url=PUBLIC_URL)
    if response.status_code != 200:
        raise RuntimeError(f"{path} answered {response.status_code}")


def _search(line: str) -> None:
    query = parse_search_line(line, Viewer("UTC", "US", now_ms()))
    search_page(query, newest_first(Communication.id, _PAGE_SIZE), with_sms=True)
    db.session.rollback()


def _signed_in(app: Flask) -> tuple[FlaskClient, int]:
    """With the process id of the one database session that PostgreSQL has for this app; 0 on SQLite."""
    client = app.test_client()
    with app.app_context():
        query = select(Account.fs_uniquifier).where(Account.external_id == many_communications.ADMIN_NUMBER)
        uniquifier = db.session.scalars(query).one()
        is_postgresql = db.engine.name == "postgresql"
        backend_id = db.session.scalar(text("SELECT pg_backend_pid()")) if is_postgresql else 0
        db.session.remove()
    with client.session_transaction(base_url=PUBLIC_URL) as session:
        session.update({"_user_id": uniquifier, "_fresh": True})
    return client, backend_id or 0


def _lines(measured: dict[tuple[str, int], Measured]) -> list[str]:
    small, large = SIZES
    lines = [
        f"p95 of the CPU time of {REPEATS} requests each, in one process, by turns.",
        "",
        f"| engine | page | {small:,} | {large:,} | ratio |",
        "|---|---|---|---|---|",
    ]
    for engine in ENGINES:
        lines += _rows(engine, measured[engine, small], measured[engine, large])
    return lines


def _rows(engine: str, small: Measured, large: Measured) -> Iterator[str]:
    for name in PATHS:
        before, after = pages.p95(small.pages_ms[name]), pages.p95(large.pages_ms[name])
        targets.at_most(f"search, {engine}: {name}, ratio", after / before, 1.5, "{:.2f}")
        targets.at_most(f"search, {engine}: {name}", after, 50, "{:.0f} ms")
        yield f"| {engine} | {name} | {before:.1f} ms | {after:.1f} ms | {after / before:.2f} |"
    for name in _WORDS:
        before, after = pages.p95(small.searches_ms[name]), pages.p95(large.searches_ms[name])
        targets.at_most(f"search, {engine}: {name}, without the page", after, 20, "{:.0f} ms")
        yield f"| {engine} | {name}, without the page | {before:.1f} ms | {after:.1f} ms | {after / before:.2f} |"

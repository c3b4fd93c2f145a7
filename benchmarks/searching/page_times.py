"""Searches and pages of communications at 1,000 and at 1,000,000 rows, on both databases, by turns in one run.

Measured is the CPU time of the web process and of PostgreSQL's process for it, which another load hardly changes.
`SEARCH_DATABASES` names a folder in which the databases are kept, because a million rows take minutes to make.
"""

import contextlib
import gc
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
from portal.authentication.session_management import SessionClient, open_session
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
        gc.collect()
        gc.freeze()  # as `portal up` does before it forks (portal/cli/preload.py)
        gc.disable()  # a full collection of these four apps takes longer than any page
        for turn in range(_WARM_UP + REPEATS):
            for one in measured.values():
                _measure(one, turn >= _WARM_UP)
    return _lines(measured)


def _measure(measured: Measured, is_counted: bool) -> None:
    gc.collect()
    client = _signed_in(measured.app)
    for name, path in PATHS.items():
        page_ms = _cpu_ms(measured.app, lambda path=path: _request(client, path))  # type: ignore[misc]
        if is_counted:
            measured.pages_ms.setdefault(name, []).append(page_ms)
    for name in _WORDS:
        line = parse_qs(urlsplit(PATHS[name]).query)["q"][0]
        search_ms = _cpu_ms(measured.app, lambda line=line: _search(measured.app, line))  # type: ignore[misc]
        if is_counted:
            measured.searches_ms.setdefault(name, []).append(search_ms)


def _cpu_ms(app: Flask, work: Callable[[], None]) -> float:
    """Of this process, and of PostgreSQL's for its one session. Again, if the session was replaced meanwhile."""
    while True:
        backend_id = _backend_id(app)
        before = _cpu_ns(backend_id)
        work()
        after = _cpu_ns(backend_id)
        if _backend_id(app) == backend_id:
            return (after - before) / 1_000_000


def _cpu_ns(backend_id: int) -> int:
    """Linux alone tells the time of another process."""
    schedule = Path(f"/proc/{backend_id}/schedstat")
    try:
        return time.process_time_ns() + (int(schedule.read_text().split()[0]) if backend_id else 0)
    except FileNotFoundError:
        return time.perf_counter_ns()


def _backend_id(app: Flask) -> int:
    """The process of the session; 0 on SQLite."""
    with app.app_context():
        if db.engine.name != "postgresql":
            return 0
        backend_id = db.session.scalar(text("SELECT pg_backend_pid()"))
        db.session.remove()
    return backend_id or 0


def _request(client: FlaskClient, path: str) -> None:
    response = client.get(path, base_url=PUBLIC_URL)
    if response.status_code != 200:
        raise RuntimeError(f"{path} answered {response.status_code}")


def _search(app: Flask, line: str) -> None:
    with app.app_context():
        query = parse_search_line(line, Viewer("UTC", "US", now_ms()))
        search_page(query, newest_first(Communication.id, _PAGE_SIZE), with_sms=True)
        db.session.remove()


def _signed_in(app: Flask) -> FlaskClient:
    client = app.test_client()
    with app.app_context():
        query = select(Account.id).where(Account.external_id == many_communications.ADMIN_NUMBER)
        account_id = db.session.scalars(query).one()
        opened = open_session(account_id, SessionClient("", "127.0.0.1"), "password", None, now_ms())
        db.session.remove()
    with client.session_transaction(base_url=PUBLIC_URL) as session:
        session.update({"_user_id": opened.token, "_fresh": True})
    return client


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

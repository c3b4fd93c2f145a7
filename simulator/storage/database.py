"""The SQLite data file. Every write commits at once, so a killed simulator loses nothing that it accepted.

`synchronous=OFF` leaves flushing to the operating system. Data survives a killed process, but not a power failure.
"""

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

_TABLES = ("message", "request_log", "opt_out", "webhook_config", "email", "deactivated")
_SCHEMA_VERSION = 1
_SCHEMA = f"""
PRAGMA journal_mode=WAL;
PRAGMA synchronous=OFF;
PRAGMA user_version={_SCHEMA_VERSION};
CREATE TABLE IF NOT EXISTS message (id INTEGER PRIMARY KEY, row TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS request_log (id INTEGER PRIMARY KEY, row TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS opt_out (sending_number TEXT, handset TEXT, PRIMARY KEY (sending_number, handset)) STRICT;
CREATE TABLE IF NOT EXISTS webhook_config (owner TEXT, name TEXT, value TEXT, PRIMARY KEY (owner, name)) STRICT;
CREATE TABLE IF NOT EXISTS email (id INTEGER PRIMARY KEY, row TEXT NOT NULL, raw BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS deactivated (day TEXT PRIMARY KEY, numbers TEXT NOT NULL) STRICT;
"""


class Database:
    """`row` columns hold JSON."""

    def __init__(self, file: str) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None)
        self._check_version()
        self._connection.executescript(_SCHEMA)

    def _check_version(self) -> None:
        has_tables = self.execute("SELECT 1 FROM sqlite_schema").fetchone() is not None
        (version,) = self.execute("PRAGMA user_version").fetchone()
        if has_tables and version != _SCHEMA_VERSION:
            raise sqlite3.DatabaseError("this version of the simulator did not create it. Delete it or choose another")

    def execute(self, statement: str, *values: object) -> sqlite3.Cursor:
        return self._connection.execute(statement, values)

    def save_row(self, table: str, row_id: int, row: dict[str, Any]) -> None:
        self.execute(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", row_id, json.dumps(row))  # noqa: S608

    def rows(self, table: str) -> Iterator[dict[str, Any]]:
        for (row,) in self.execute(f"SELECT row FROM {table} ORDER BY id"):  # noqa: S608
            yield json.loads(row)

    def delete_all(self) -> None:
        for table in _TABLES:
            self.execute(f"DELETE FROM {table}")  # noqa: S608

    def close(self) -> None:
        self._connection.close()

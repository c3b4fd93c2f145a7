"""Sets an SQLite file back to what it was, after each request that changed it; and tells what the request changed."""

import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any


class DatabaseSnapshot:
    """The rows of the file when this was made."""

    def __init__(self, path: Path) -> None:
        self._file = sqlite3.connect(path, isolation_level=None)
        self._copy = sqlite3.connect(":memory:", isolation_level=None)
        self._file.backup(self._copy)
        self._version = self._data_version()

    def is_changed(self) -> bool:
        """Whether anything was committed since, also if it was taken back."""
        return self._data_version() != self._version

    def changed_tables(self) -> set[str]:
        query = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        names = [name for (name,) in self._copy.execute(query)]
        return {name for name in names if _rows(self._file, name) != _rows(self._copy, name)}

    def is_query_changed(self, query: str) -> bool:
        """Whether it finds other rows than before."""
        return self._file.execute(query).fetchall() != self._copy.execute(query).fetchall()

    def broken_references(self) -> list[tuple[Any, ...]]:
        return self._file.execute("PRAGMA foreign_key_check").fetchall()

    def restore(self) -> None:
        if self.is_changed():
            self._copy.backup(self._file)
            self._version = self._data_version()

    def close(self) -> None:
        self._file.close()
        self._copy.close()

    def _data_version(self) -> int:
        """Other connections raise it with every commit; a restore does not."""
        (version,) = self._file.execute("PRAGMA data_version").fetchone()
        return int(version)


def _rows(connection: sqlite3.Connection, table: str) -> Counter[Any]:
    return Counter(connection.execute(f'SELECT * FROM "{table}"'))

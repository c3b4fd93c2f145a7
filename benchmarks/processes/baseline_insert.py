"""The baseline: insert the rows of a finished fan-out into the same tables with two plain `executemany` calls.

Without the triggers that count deliveries: what those cost is part of the fan-out's budget.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection
from typing import Any, cast

from sqlalchemy import Table, create_engine

from benchmarks.process_group import run_measured
from portal.core.extensions import engine_options
from portal.messages.tables.communications import Communication, Delivery


@dataclass(frozen=True)
class InsertBatch:
    statement: str
    values: list[tuple[Any, ...]]


def main() -> None:
    source, target, send_id = sys.argv[1:]
    models = (Communication, Delivery)
    batches = [_load_batch(Path(source), cast(Table, model.__table__), int(send_id)) for model in models]
    connection = _connect(Path(target))
    _drop_triggers(connection)
    run_measured(lambda: _insert(connection, batches))


def _connect(instance: Path) -> Connection:
    """A connection with the portal's own pragmas."""
    url = f"sqlite:///{instance / 'portal.sqlite'}"
    connection = create_engine(url, **engine_options(url)).raw_connection().driver_connection
    return cast(Connection, connection)


def _drop_triggers(connection: Connection) -> None:
    query = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN ('communication', 'delivery')"
    for (name,) in connection.execute(query).fetchall():
        connection.execute(f"DROP TRIGGER {name}")


def _load_batch(instance: Path, table: Table, send_id: int) -> InsertBatch:
    columns = ", ".join(table.columns.keys())
    query = f"SELECT {columns} FROM {table.name} WHERE send_id = ? ORDER BY id"
    placeholders = ", ".join("?" * len(table.columns))
    values = _connect(instance).execute(query, (send_id,)).fetchall()
    return InsertBatch(f"INSERT INTO {table.name} ({columns}) VALUES ({placeholders})", values)


def _insert(connection: Connection, batches: list[InsertBatch]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for batch in batches:
        connection.executemany(batch.statement, batch.values)
    connection.execute("COMMIT")


if __name__ == "__main__":
    main()

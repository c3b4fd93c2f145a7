"""The floor: the very rows of a finished fan-out, put into the same tables by two bare `executemany`."""

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
class Rows:
    insert: str
    values: list[tuple[Any, ...]]


def main() -> None:
    source, target, send_id = sys.argv[1:]
    rows = [_rows(Path(source), cast(Table, model.__table__), int(send_id)) for model in (Communication, Delivery)]
    connection = _connect(Path(target))
    run_measured(lambda: _insert(connection, rows))


def _connect(instance: Path) -> Connection:
    """With the product's own pragmas."""
    url = f"sqlite:///{instance / 'portal.sqlite'}"
    connection = create_engine(url, **engine_options(url)).raw_connection().driver_connection
    return cast(Connection, connection)


def _rows(instance: Path, table: Table, send_id: int) -> Rows:
    names = ", ".join(table.columns.keys())
    query = f"SELECT {names} FROM {table.name} WHERE send_id = ? ORDER BY id"
    marks = ", ".join("?" * len(table.columns))
    values = _connect(instance).execute(query, (send_id,)).fetchall()
    return Rows(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", values)


def _insert(connection: Connection, rows: list[Rows]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for each in rows:
        connection.executemany(each.insert, each.values)
    connection.execute("COMMIT")


if __name__ == "__main__":
    main()

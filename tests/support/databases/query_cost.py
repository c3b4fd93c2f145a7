"""The queries that some code makes, and how much each reads: steps of SQLite, rows of PostgreSQL."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

from portal.core.extensions import db


@dataclass(frozen=True)
class Query:
    statement: str
    parameters: Any


@contextmanager
def collected_queries() -> Iterator[dict[str, Query]]:
    """The different queries that are made meanwhile."""
    queries: dict[str, Query] = {}

    def note(_connection: Connection, _cursor: object, statement: str, parameters: Any, *_rest: object) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "WITH")):
            queries.setdefault(f"{statement} {parameters}", Query(statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield queries
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def cost_of(query: Query) -> int:
    with db.engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        return _steps(driver, query) if db.engine.name == "sqlite" else _rows_read(driver, query)


def _steps(driver: sqlite3.Connection, query: Query) -> int:
    """Counted by the hundred."""
    hundreds = 0

    def count() -> None:
        nonlocal hundreds
        hundreds += 1

    driver.set_progress_handler(count, 100)
    try:
        driver.execute(query.statement, query.parameters).fetchall()
    finally:
        driver.set_progress_handler(None, 0)
    return hundreds * 100


def _rows_read(driver: Any, query: Query) -> int:
    with driver.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query.statement}", query.parameters)
        (plan,) = cursor.fetchone()
    driver.rollback()
    plans = json.loads(plan) if isinstance(plan, str) else plan
    return sum(_rows_of(node) for node in _nodes(plans[0]["Plan"]))


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from _nodes(child)


def _rows_of(node: dict[str, Any]) -> int:
    """Of a node that reads a table; each of its loops reads this many."""
    if "Relation Name" not in node:
        return 0
    removed = sum(node.get(name, 0) for name in ("Rows Removed by Filter", "Rows Removed by Index Recheck"))
    return int((node["Actual Rows"] + removed) * node["Actual Loops"])

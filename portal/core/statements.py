"""Statements that SQLite and PostgreSQL, or their constructs in SQLAlchemy, spell differently."""

import json
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any, cast

from sqlalchemy import (
    ARRAY,
    BinaryExpression,
    BindParameter,
    ColumnElement,
    CursorResult,
    Table,
    Update,
    and_,
    any_,
    bindparam,
    column,
    func,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute
from sqlalchemy.sql import visitors
from sqlalchemy.types import TypeEngine

from portal.core.extensions import db

_ROWS_PER_STATEMENT = 100


def insert_missing(
    table: type[DeclarativeBase], rows: Sequence[dict[str, Any]], unique: Sequence[str], where: Any = None
) -> None:
    """Insert the rows whose unique columns do not exist yet; `where` is the condition of a partial unique index."""
    if rows:
        query = _insert(table).on_conflict_do_nothing(index_elements=unique, index_where=where)
        db.session.execute(query, list(rows))


def bulk_insert(table: type[DeclarativeBase], rows: Sequence[dict[str, Any]], unique: Sequence[str]) -> None:
    """`insert_missing` for many rows of strings and integers, which need no conversion.

    All rows have the same columns. It takes a third of the time, and holds SQLite's write lock no longer than that.
    """
    if rows:
        names = tuple(rows[0])
        insert_tuples(table, names, list(map(itemgetter(*names), rows)), unique)


def insert_rows(table: type[DeclarativeBase], rows: Sequence[dict[str, Any]]) -> None:
    """`bulk_insert`, but a row that exists is an error."""
    bulk_insert(table, rows, ())


def insert_tuples(
    table: type[DeclarativeBase], columns: Sequence[str], rows: Sequence[tuple[Any, ...]], unique: Sequence[str]
) -> None:
    """`bulk_insert` for rows that are tuples already. They hold no members of enums, which drivers convert singly.
    Without `unique`, a row that exists is an error.

    Many rows go into each statement, because a trigger costs a statement more than it costs a row.
    """
    if not rows:
        return
    start = f"INSERT INTO {table.__tablename__} ({', '.join(columns)})"
    end = f"ON CONFLICT ({', '.join(unique)}) DO NOTHING" if unique else ""
    if db.session.get_bind().dialect.name == "sqlite":
        _insert_values(start, end, rows)
    else:
        _insert_arrays(start, end, rows, [cast(Table, table.__table__).c[name].type for name in columns])


def _insert_values(start: str, end: str, rows: Sequence[tuple[Any, ...]]) -> None:
    connection, row = db.session.connection(), f"({', '.join('?' * len(rows[0]))})"
    for index in range(0, len(rows), _ROWS_PER_STATEMENT):
        batch = rows[index : index + _ROWS_PER_STATEMENT]
        statement = f"{start} VALUES {', '.join([row] * len(batch))} {end}"
        connection.exec_driver_sql(statement, tuple(chain.from_iterable(batch)))


def _insert_arrays(start: str, end: str, rows: Sequence[tuple[Any, ...]], types: Sequence[TypeEngine[Any]]) -> None:
    connection = db.session.connection()
    arrays = ", ".join(f"%s::{type_.compile(connection.dialect)}[]" for type_ in types)
    values = tuple(list(column) for column in zip(*rows, strict=True))
    connection.exec_driver_sql(f"{start} SELECT * FROM unnest({arrays}) {end}", values)  # noqa: S608  our own column names


def insert_if_missing(table: type[DeclarativeBase], row: dict[str, Any], unique: Sequence[str]) -> bool:
    """Insert the row. Returns False if a row with its unique columns exists."""
    query = _insert(table).values(**row).on_conflict_do_nothing(index_elements=unique)
    return db.session.scalar(query.returning(*table.__table__.primary_key)) is not None


def upsert(table: type[DeclarativeBase], row: dict[str, Any], unique: Sequence[str]) -> None:
    """Insert the row, or overwrite the one with the same unique columns."""
    upsert_many(table, [row], unique)


def upsert_many(table: type[DeclarativeBase], rows: Sequence[dict[str, Any]], unique: Sequence[str]) -> None:
    """`upsert` for many rows, all with the same columns."""
    if rows:
        query = _insert(table)
        changed = {name: query.excluded[name] for name in rows[0] if name not in unique}
        db.session.execute(query.on_conflict_do_update(index_elements=unique, set_=changed), list(rows))


def _insert(table: type[DeclarativeBase]) -> Any:
    dialect = db.session.get_bind().dialect.name
    return (sqlite if dialect == "sqlite" else postgresql).insert(cast(Table, table.__table__))


def refresh_statistics(*tables: type[DeclarativeBase]) -> None:
    """Have PostgreSQL count the rows of tables that grew at once. Until its autovacuum does, it plans for a few rows.

    With such a plan, a query over all of an audience may take minutes.
    """
    if db.session.get_bind().dialect.name == "postgresql":
        db.session.execute(text(f"ANALYZE {', '.join(table.__tablename__ for table in tables)}"))


def updated_count(query: Update) -> int:
    """Execute the update and return how many rows it changed."""
    result = cast(CursorResult[Any], db.session.execute(query, execution_options={"synchronize_session": False}))
    return result.rowcount


def updated_count_many(query: Update, rows: Sequence[dict[str, Any]]) -> int:
    """Execute the update of a table once for each row of parameters; return how many rows that changed in all."""
    if not rows:
        return 0
    return cast(CursorResult[Any], db.session.connection().execute(query, list(rows))).rowcount


def updated_count_at_once(query: Update, rows: Sequence[dict[str, Any]], key: str) -> int:
    """`updated_count_many` in one statement on PostgreSQL, where each statement costs more than a row, with triggers.

    `key` is the parameter that identifies the row to change. Of rows with the same key only the first counts, as if the
    first had moved what the others look for.
    """
    if not rows or db.session.get_bind().dialect.name == "sqlite":
        return updated_count_many(query, rows)
    first = {row[key]: row for row in reversed(rows)}
    arrays = {name: [row[name] for row in first.values()] for name in rows[0]}
    return cast(
        CursorResult[Any], db.session.connection().execute(_from_arrays(query, tuple(arrays), key), arrays)
    ).rowcount


@lru_cache(maxsize=64)
def _from_arrays(query: Update, names: tuple[str, ...], key: str) -> Update:
    """The update with a column of arrays in place of each of its parameters with these names.

    It also names the keys as a list: joined with the arrays alone, PostgreSQL may read the whole table.
    """
    dialect: Any = postgresql.dialect()  # type: ignore[no-untyped-call]
    types = {name: bind.type for name, bind in query.compile(dialect=dialect).binds.items()}
    arrays = {name: bindparam(name, type_=ARRAY(types[name])) for name in names}
    columns = (column(name, types[name]) for name in names)
    given = func.unnest(*arrays.values()).table_valued(*columns, name="given").render_derived()

    def replaced(element: Any, **_: Any) -> Any:
        if isinstance(element, BinaryExpression) and getattr(element.right, "key", None) == key:
            return and_(element.left == given.c[key], element.left == any_(arrays[key]))
        is_given = isinstance(element, BindParameter) and element.key in names
        return given.c[element.key] if is_given else None

    return cast(Update, visitors.replacement_traverse(query, {}, replaced))


def in_list(column: InstrumentedAttribute[Any], values: Sequence[str] | Sequence[int]) -> ColumnElement[bool]:
    """`column IN (…)` for lists of any length: one parameter, because databases limit their count.

    It is also faster than many parameters, whose statement has to be built and prepared anew.
    """
    if db.session.get_bind().dialect.name == "sqlite":
        rows: Any = func.json_each(json.dumps(list(values))).table_valued("value")
        return column.in_(select(rows.c.value))
    return column == any_(bindparam(None, list(values), type_=ARRAY(column.type)))

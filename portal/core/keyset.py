"""Keyset paging: read a list in an order that an index serves, onwards or backwards from one of its rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, select, tuple_
from sqlalchemy.orm import QueryableAttribute

from portal.core.extensions import db

Row = TypeVar("Row")
SortColumns = tuple[QueryableAttribute[Any] | ColumnElement[Any], ...]
"""The last is the id, so that rows with equal values have an order."""
ReadRows = Callable[[ColumnElement[bool] | None, bool, int], list[Any]]
"""Reads rows: only those beyond a position if that is given, descending or not, and at most how many."""


@dataclass(frozen=True)
class Slice(Generic[Row]):
    rows: list[Row]
    has_previous: bool
    has_next: bool
    next_after: int | None = None
    """The id after which the next page begins, if it is not that of the last row."""


@dataclass(frozen=True)
class Keyset:
    """At most `size` rows by `columns`: those after the row with the id `after_id`, or before `before_id`.

    Without either, and if nothing is there, the first rows.
    """

    columns: SortColumns
    size: int
    descending: bool = False
    after_id: int | None = None
    before_id: int | None = None

    def fetch(self, query: Select[Any]) -> Slice[Any]:
        def read(beyond: ColumnElement[bool] | None, descending: bool, limit: int) -> list[Any]:
            narrowed = query if beyond is None else query.where(beyond)
            return list(db.session.scalars(narrowed.order_by(*order_by(self.columns, descending)).limit(limit)))

        return self.fetch_with(read)

    def fetch_with(self, read: ReadRows) -> Slice[Any]:
        """For rows that no single query of them gives."""
        position, is_backward = self._position(), self.after_id is None
        rows = self._read(read, position, self.descending != is_backward) if position else []
        if not rows:
            rows = self._read(read, None, self.descending)
            return Slice(rows[: self.size], False, len(rows) > self.size)
        has_more, rows = len(rows) > self.size, rows[: self.size]
        return Slice(rows[::-1], has_more, True) if is_backward else Slice(rows, True, has_more)

    def _position(self) -> Sequence[Any] | None:
        """The values of the row to continue from. They are read here, so that addresses hold no personal data."""
        row_id = self.after_id or self.before_id
        if row_id is None or len(self.columns) == 1:
            return None if row_id is None else (row_id,)
        return db.session.execute(select(*self.columns).where(self.columns[-1] == row_id)).one_or_none()

    def _read(self, read: ReadRows, position: Sequence[Any] | None, descending: bool) -> list[Any]:
        """One row more than fits, to know whether others follow."""
        return read(self._beyond(position, descending) if position else None, descending, self.size + 1)

    def _beyond(self, position: Sequence[Any], descending: bool) -> ColumnElement[bool]:
        columns = tuple_(*self.columns)
        return columns < tuple_(*position) if descending else columns > tuple_(*position)


def order_by(columns: SortColumns, descending: bool) -> list[ColumnElement[Any]]:
    return [column.desc() if descending else column.asc() for column in columns]


def newest_first(id_column: QueryableAttribute[Any], size: int) -> Keyset:
    return Keyset((id_column,), size, descending=True)

"""Keyset paging, and the orders that a list offers. An address names its order and the row to continue from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import urlencode

from flask import request, url_for
from wtforms import HiddenField

from portal.core.keyset import Keyset, Slice, SortColumns
from portal.core.translation import gettext as _
from portal.web.base_form import PortalForm
from portal.web.request_input import parse_id


class HasId(Protocol):
    @property
    def id(self) -> Any: ...


Row = TypeVar("Row", bound=HasId)


@dataclass(frozen=True)
class Page(Generic[Row]):
    """`next_before` is the id that the next page starts before; None on the last page."""

    rows: list[Row]
    next_before: int | None
    is_first: bool


def paginate(rows: Sequence[Row], size: int, before: int | None) -> Page[Row]:
    """`rows` has one row more than fits on a page if another page follows."""
    return Page(list(rows[:size]), rows[size - 1].id if len(rows) > size else None, before is None)


class CursorForm(PortalForm):
    """The ids of the rows that a page comes after or before, of a list whose filters are too long for an address."""

    after, before = HiddenField(filters=[parse_id]), HiddenField(filters=[parse_id])


@dataclass(frozen=True)
class Sort:
    """An order that a list offers under the heading `label`. An index serves `columns`, whose last is the id."""

    name: str
    label: str
    columns: SortColumns
    descending: bool = False
    """The direction that the first click gives."""
    is_reversible: bool = True


@dataclass(frozen=True)
class SortHeader:
    """`direction` as in `aria-sort`, empty for a column that is not sorted by; no `url` if nothing would change."""

    direction: str
    url: str


@dataclass(frozen=True)
class ListOrder:
    """The order in use, one of `sorts`. The first of them, in its own direction, is the default."""

    sorts: tuple[Sort, ...]
    sort: Sort
    descending: bool

    @property
    def token(self) -> str:
        """As in addresses: the name, with a minus sign if descending."""
        return _token(self.sort, self.descending)

    @property
    def parameter(self) -> str:
        """The token, or nothing for the default."""
        return self._parameter(self.token)

    def keyset(self, size: int) -> Keyset:
        """The page that the address asks for. A cursor of another order is ignored."""
        ids = {name: self._cursor_id(request.args.get(name, "")) for name in ("after", "before")}
        return Keyset(self.sort.columns, size, self.descending, ids["after"], ids["before"])

    def header(self, label: str) -> SortHeader | None:
        """None if the list cannot be sorted by this column."""
        sort = next((sort for sort in self.sorts if _(sort.label) == label), None)
        if sort is None:
            return None
        if sort != self.sort:
            return SortHeader("", self.url(self._parameter(_token(sort, sort.descending))))
        url = self.url(self._parameter(_token(sort, not self.descending))) if sort.is_reversible else ""
        return SortHeader("descending" if self.descending else "ascending", url)

    def url(self, parameter: str, **cursor: str) -> str:
        """This list with the filters of the address, in the order `parameter`."""
        filters = [(name, value) for name, value in request.args.items(multi=True) if value and name not in _OWN_NAMES]
        pairs = [*filters, *([("sort", parameter)] if parameter else []), *cursor.items()]
        path = url_for(str(request.endpoint), **(request.view_args or {}))
        return f"{path}?{urlencode(pairs)}" if pairs else path

    def _parameter(self, token: str) -> str:
        return "" if token == _token(self.sorts[0], self.sorts[0].descending) else token

    def _cursor_id(self, cursor: str) -> int | None:
        token, _dot, row_id = cursor.rpartition(".")
        return parse_id(row_id) if token == self.token else None


@dataclass(frozen=True)
class SortedPage(Generic[Row]):
    """A page of a list; the addresses are empty where there is no page."""

    rows: list[Row]
    order: ListOrder
    first_url: str
    previous_url: str
    next_url: str


_OWN_NAMES = ("sort", "after", "before")


def requested_order(*sorts: Sort) -> ListOrder:
    """The order in the address, if it is one of `sorts`; otherwise the default."""
    orders = {_token(sort, descending): (sort, descending) for sort in sorts for descending in _directions(sort)}
    return ListOrder(sorts, *orders.get(request.args.get("sort", ""), (sorts[0], sorts[0].descending)))


def sorted_page(order: ListOrder, rows: Slice[Row]) -> SortedPage[Row]:
    parameter, cursor = order.parameter, f"{order.token}."
    return SortedPage(
        rows=rows.rows,
        order=order,
        first_url=order.url(parameter) if rows.has_previous else "",
        previous_url=order.url(parameter, before=f"{cursor}{rows.rows[0].id}")
        if rows.has_previous and rows.rows
        else "",
        next_url=order.url(parameter, after=f"{cursor}{rows.next_after or rows.rows[-1].id}") if rows.has_next else "",
    )


def _token(sort: Sort, descending: bool) -> str:
    return f"-{sort.name}" if descending else sort.name


def _directions(sort: Sort) -> tuple[bool, ...]:
    return (False, True) if sort.is_reversible else (sort.descending,)

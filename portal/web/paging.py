"""Keyset paging. Queries fetch one row more than fits on a page, to know whether another page follows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar


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
    return Page(list(rows[:size]), rows[size - 1].id if len(rows) > size else None, before is None)

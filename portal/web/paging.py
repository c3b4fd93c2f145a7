"""Lists page by page: asked for one row more than fits, a page knows whether an older one follows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class HasId(Protocol):
    @property
    def id(self) -> int: ...


Row = TypeVar("Row", bound=HasId)


@dataclass(frozen=True)
class Page(Generic[Row]):
    """`next_before` is the id that the next page comes before; None on the last. `is_first` is true on the first."""

    rows: list[Row]
    next_before: int | None
    is_first: bool


def paginate(found: Sequence[Row], size: int, before: int | None) -> Page[Row]:
    rows = list(found[:size])
    return Page(rows, rows[-1].id if len(found) > size else None, before is None)

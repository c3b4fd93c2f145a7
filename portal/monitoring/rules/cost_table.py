"""Segments by template and month, and what they cost at the price of a segment."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

MAX_TEMPLATES = 8


@dataclass(frozen=True)
class CostRow:
    """The segments of each month; `name` is empty for texts without a send, None for all further templates."""

    name: str | None
    segments: tuple[int, ...]


@dataclass(frozen=True)
class CostTable:
    """`rows` with the most segments first, and `totals` of the months."""

    months: tuple[date, ...]
    rows: tuple[CostRow, ...]
    totals: tuple[int, ...]
    price: Decimal | None

    def cost(self, segments: int) -> Decimal | None:
        return None if self.price is None else self.price * segments


def cost_table(
    months: tuple[date, ...], segments: Mapping[tuple[str, int], int], price: Decimal | None, limit: int = MAX_TEMPLATES
) -> CostTable:
    """`segments` by name of the template and number of the month."""
    names = {name for name, _month in segments}
    rows = [CostRow(name, tuple(segments.get((name, month), 0) for month in range(len(months)))) for name in names]
    rows.sort(key=lambda row: (-sum(row.segments), row.name or ""))
    shown = rows if len(rows) <= limit + 1 else [*rows[:limit], CostRow(None, _sums(rows[limit:], len(months)))]
    return CostTable(months, tuple(shown), _sums(rows, len(months)), price)


def _sums(rows: list[CostRow], months: int) -> tuple[int, ...]:
    return tuple(sum(row.segments[month] for row in rows) for month in range(months))

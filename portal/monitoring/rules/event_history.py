"""How many events of the consent ledger there were each day."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class EventHistory:
    """`counts` by number of the day and kind; the last of the `days` is today."""

    days: int
    counts: Mapping[tuple[int, str], int]

    def daily(self, days: int, *kinds: str) -> tuple[int, ...]:
        """Of the last days."""
        shown = range(self.days - days, self.days)
        return tuple(sum(self.counts.get((day, kind), 0) for kind in kinds) for day in shown)

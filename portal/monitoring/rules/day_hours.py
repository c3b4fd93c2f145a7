"""Days and months of a time zone as ranges of hours since 1970, in which totals are kept.

In zones that are off by half an hour or a quarter, a day begins with the hour in which midnight falls.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

_HOUR_MS = 3_600_000


@dataclass(frozen=True)
class DayHours:
    """Some days in a row, and the hour with which each begins."""

    days: tuple[date, ...]
    first_hours: tuple[int, ...]

    @property
    def since_hour(self) -> int:
        return self.first_hours[0]


@dataclass(frozen=True)
class HourSpan:
    """From `first_hour` on, the number of the day is `index + (hour - first_hour) // hours`, until the next span."""

    first_hour: int
    index: int
    hours: int


def last_days(now_ms: int, zone: ZoneInfo, count: int) -> DayHours:
    """Today and the days before."""
    today = datetime.fromtimestamp(now_ms / 1000, zone).date()
    days = tuple(today - timedelta(days=count - 1 - number) for number in range(count))
    return DayHours(days, tuple(_first_hour(day, zone) for day in days))


def last_months(now_ms: int, zone: ZoneInfo, count: int) -> DayHours:
    """The first days of this month and of those before."""
    today = datetime.fromtimestamp(now_ms / 1000, zone).date()
    number = today.year * 12 + today.month - 1
    days = tuple(date(index // 12, index % 12 + 1, 1) for index in range(number - count + 1, number + 1))
    return DayHours(days, tuple(_first_hour(day, zone) for day in days))


def hour_spans(first_hours: Sequence[int], first_index: int = 0) -> list[HourSpan]:
    """One span for all days of 24 hours in a row; days on which clocks change have their own.

    `first_index` is the number of the first of these days.
    """
    spans: list[HourSpan] = []
    for index, (hour, following) in enumerate(pairwise([*first_hours, first_hours[-1] + 24]), first_index):
        if following - hour != 24:
            spans.append(HourSpan(hour, index, 2 * (following - hour)))
        elif not spans or spans[-1].hours != 24:
            spans.append(HourSpan(hour, index, 24))
    return spans


def _first_hour(day: date, zone: ZoneInfo) -> int:
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
    return int(midnight.timestamp()) * 1000 // _HOUR_MS

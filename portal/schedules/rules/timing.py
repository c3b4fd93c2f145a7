"""When a schedule runs: once, repeatedly, or some days before or after a date of each person."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, time, timedelta
from enum import StrEnum
from itertools import islice

from portal.schedules.rules.local_times import local_day, local_instant_ms
from portal.schedules.rules.recurrence import rule_days


class ScheduleKind(StrEnum):
    ONCE = "once"
    RECURRING = "recurring"
    RELATIVE = "relative"


@dataclass(frozen=True)
class Occasion:
    """`key` is the local day: a schedule runs at most once on it, even if its time of day is changed."""

    key: str
    due_at_ms: int


@dataclass(frozen=True)
class FixedTiming:
    """At `at` in `zone`, on one day or on the days of `rule`, which begins on that day."""

    starts_on: date
    at: time
    zone: str
    rule: str = ""

    def occasions(self, after_ms: int) -> Iterator[Occasion]:
        """Those due after `after_ms`, in order."""
        for day in self._days(local_day(after_ms, self.zone) - timedelta(days=1)):
            due_at_ms = local_instant_ms(day, self.at, self.zone)
            if due_at_ms > after_ms:
                yield Occasion(day.isoformat(), due_at_ms)

    def _days(self, not_before: date) -> Iterator[date]:
        return rule_days(self.rule, self.starts_on, not_before) if self.rule else iter((self.starts_on,))


@dataclass(frozen=True)
class RelativeTiming:
    """`offsets` are days before the date in the attribute, or after it if negative; `at` is in each person's zone."""

    attribute: str
    offsets: tuple[int, ...]
    at: time


def next_occasions(timing: FixedTiming, after_ms: int, limit: int) -> list[Occasion]:
    return list(islice(timing.occasions(after_ms), limit))

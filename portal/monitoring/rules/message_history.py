"""What became of the messages of the last days, by channel; and which share of them did not arrive."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from portal.core.rules.delivery_status import STATES, StateGroup
from portal.monitoring.rules.alert_kinds import END_SHARE
from portal.monitoring.rules.day_hours import DayHours

_CONCLUDED = (StateGroup.DELIVERED, StateGroup.NO_RECEIPT, StateGroup.FAILED)
MIN_CONCLUDED = 20
"""A share of fewer messages says nothing: one of two failed is no outage."""


@dataclass(frozen=True)
class FailureRate:
    """Of the messages whose outcome is known, those that were not delivered."""

    failed: int
    concluded: int

    @property
    def percent(self) -> float:
        return 100 * self.failed / self.concluded if self.concluded else 0.0

    def exceeds(self, limit_percent: int, was_exceeded: bool = False) -> bool:
        limit = limit_percent * (END_SHARE if was_exceeded else 1)
        return self.concluded >= MIN_CONCLUDED and self.percent > limit


def group_states(counts: Mapping[str, int]) -> Counter[str]:
    """State to count as state group to count."""
    groups = Counter[str]()
    for state, count in counts.items():
        groups[STATES[state].group] += count
    return groups


def failure_rate(groups: Mapping[str, int]) -> FailureRate:
    return FailureRate(groups.get(StateGroup.FAILED, 0), sum(groups.get(group, 0) for group in _CONCLUDED))


_NOTHING = Counter[str]()


@dataclass(frozen=True)
class MessageHistory:
    """`groups` are the counts by state group, for a channel and the number of a day; the last day is today."""

    days: DayHours
    groups: Mapping[tuple[str, int], Counter[str]]

    def of_day(self, channel: str, index: int) -> Counter[str]:
        return self.groups.get((channel, index), _NOTHING)

    def of_last_days(self, channel: str, count: int) -> Counter[str]:
        total, groups = len(self.days.days), Counter[str]()
        for index in range(total - count, total):
            for group, number in self.groups.get((channel, index), {}).items():
                groups[group] += number
        return groups

    def daily(self, channel: str, count: int, *groups: str) -> tuple[int, ...]:
        total = len(self.days.days)
        of_days = (self.of_day(channel, index) for index in range(total - count, total))
        return tuple(sum(day[group] for group in groups) for day in of_days)

    def daily_failure_percent(self, channel: str, count: int) -> tuple[float, ...]:
        """0 for a day with too few messages."""
        total = len(self.days.days)
        rates = (failure_rate(self.of_day(channel, index)) for index in range(total - count, total))
        return tuple(rate.percent if rate.concluded >= MIN_CONCLUDED else 0.0 for rate in rates)


def message_history(days: DayHours, counts: Mapping[tuple[int, str, str], int]) -> MessageHistory:
    """`counts` by number of the day, channel and state."""
    groups: dict[tuple[str, int], Counter[str]] = {}
    for (day, channel, state), count in counts.items():
        groups.setdefault((channel, day), Counter())[STATES[state].group] += count
    return MessageHistory(days, groups)

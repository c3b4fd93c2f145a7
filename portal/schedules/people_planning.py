"""Plan runs for people who have a date of their own: one run for all who are due at the same moment."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, time, timedelta

from portal.core.rules.time_format import format_utc
from portal.schedules.rules.lateness import DAY_MS
from portal.schedules.rules.local_times import local_day, local_instant_ms
from portal.schedules.rules.schedule_states import RunState
from portal.schedules.rules.timing_input import TimingError
from portal.schedules.run_audience import run_audience
from portal.schedules.tables import person_dates, runs
from portal.schedules.tables.runs import ScheduleRun
from portal.schedules.tables.schedules import Schedule

_MISSED_WINDOW_MS = 31 * DAY_MS
"""People who were missed longer ago are not counted."""


@dataclass(frozen=True)
class Group:
    """The people of one time zone whose date is `offset` days after the local day `day`."""

    offset: int
    day: date
    zone: str
    count: int


@dataclass(frozen=True)
class DuePeople:
    """Groups by the moment at which they are due, and how many people are too late, since when."""

    groups: Mapping[int, list[Group]]
    missed_count: int
    missed_from_ms: int


def people_due(schedule: Schedule, now_ms: int) -> DuePeople:
    since_ms = schedule.late_policy.send_after_ms(now_ms)
    groups: dict[int, list[Group]] = defaultdict(list)
    for due_at_ms, group in _groups_between(schedule, since_ms, now_ms, now_ms):
        groups[due_at_ms].append(group)
    return _with_missed(schedule, groups, since_ms, now_ms)


def people_overdue(schedule: Schedule, now_ms: int) -> DuePeople:
    """Everybody who came due and got nothing, as missed: for a change after which other dates count.

    Nobody if the schedule does not follow dates of people, or if its timing cannot be read.
    """
    try:
        return _with_missed(schedule, {}, now_ms, now_ms) if schedule.is_relative else DuePeople({}, 0, 0)
    except TimingError:
        return DuePeople({}, 0, 0)


def _with_missed(schedule: Schedule, groups: Mapping[int, list[Group]], since_ms: int, now_ms: int) -> DuePeople:
    """Those who came due by `since_ms` are too late."""
    missed_from_ms = max(schedule.checked_through_ms, since_ms - _MISSED_WINDOW_MS)
    missed = list(_groups_between(schedule, missed_from_ms, since_ms, now_ms)) if missed_from_ms < since_ms else []
    count = sum(group.count for _due, group in missed)
    return DuePeople(groups, count, min((due for due, _group in missed), default=0))


def groups_on(schedule: Schedule, day: date, now_ms: int) -> list[Group]:
    """Everybody who is due on this local day, whatever the time."""
    begin_ms = local_instant_ms(day - timedelta(days=2), time(), "UTC")
    groups = _groups_between(schedule, begin_ms, begin_ms + 5 * DAY_MS, now_ms)
    return [group for _due_at_ms, group in groups if group.day == day]


def _groups_between(schedule: Schedule, after_ms: int, until_ms: int, now_ms: int) -> Iterator[tuple[int, Group]]:
    """The groups that come due after `after_ms` and not after `until_ms`, with the moment."""
    timing = schedule.relative_timing
    attribute = person_dates.find_date_attribute(timing.attribute)
    if attribute is None:
        return
    audience, skipped = run_audience(schedule, now_ms), runs.run_keys(schedule.id, state=RunState.SKIPPED)
    first, last = local_day(after_ms, "UTC") - timedelta(days=1), local_day(until_ms, "UTC") + timedelta(days=1)
    for offset in timing.offsets:
        people = person_dates.count_people(schedule.id, audience, attribute.id, offset, first, last)
        for zone, day, count in people:
            due_at_ms = local_instant_ms(day, timing.at, zone)
            if after_ms < due_at_ms <= until_ms and day.isoformat() not in skipped:
                yield due_at_ms, Group(offset, day, zone, count)


def add_run_for_people(schedule: Schedule, groups: list[Group], due_at_ms: int, now_ms: int) -> ScheduleRun | None:
    """None if all of them have had their run. Inside a transaction that holds the lock of the schedule."""
    attribute = person_dates.find_date_attribute(schedule.relative_timing.attribute)
    if attribute is None:
        return None
    run = runs.add_run(schedule.id, _free_key(schedule, due_at_ms), due_at_ms, RunState.PLANNED, now_ms)
    zones: dict[tuple[int, date], list[str]] = defaultdict(list)
    for group in groups:
        zones[group.offset, group.day].append(group.zone)
    run.recipients, whole = 0, run_audience(schedule, now_ms)
    for occasion, names in sorted(zones.items()):
        audience = person_dates.due_audience(whole, schedule.id, attribute.id, [occasion])
        run.recipients += person_dates.add_recipients(run, audience, names)
    if run.recipients == 0:
        runs.delete_run(run)
        return None
    return run


def add_missed_run(schedule: Schedule, due: DuePeople, now_ms: int) -> ScheduleRun:
    """The people stay without the message, unless their date moves."""
    key = f"{_minute_key(due.missed_from_ms)} missed {_minute_key(now_ms)}"
    return runs.add_run(schedule.id, key, due.missed_from_ms, RunState.MISSED, now_ms, due.missed_count)


def _free_key(schedule: Schedule, due_at_ms: int) -> str:
    """The minute, with a number behind it: people may be added after the run of that minute."""
    key = _minute_key(due_at_ms)
    taken = runs.run_keys(schedule.id, since_key=key)
    return next(name for number in range(1, len(taken) + 2) if (name := f"{key} {number}") not in taken)


def _minute_key(at_ms: int) -> str:
    return f"{format_utc(at_ms)[:16]}Z"

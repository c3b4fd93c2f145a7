"""What schedules will do next: the runs to come, and how many emails and texts a run would send now."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import islice, takewhile

from portal.content.tables.templates import find_template_version
from portal.schedules.rules.lateness import DAY_MS
from portal.schedules.rules.local_times import local_day, local_instant_ms
from portal.schedules.rules.schedule_states import RunState
from portal.schedules.rules.timing_input import TimingError, parse_day
from portal.schedules.run_audience import run_audience
from portal.schedules.tables import person_dates, runs
from portal.schedules.tables.schedules import Schedule
from portal.sends.rules.audience_counts import AudienceCounts
from portal.sends.send_preview import count_audience
from portal.sends.send_values import complete_values

_NEAR_MS, _LOOK_AHEAD_MS = 10 * DAY_MS, 92 * DAY_MS
"""People's dates are counted for the next days; for three months if these have too few runs."""


@dataclass(frozen=True)
class UpcomingRun:
    """`key` names it among the runs of its schedule. `people` is None unless each person has a date of their own."""

    schedule: Schedule
    key: str
    due_at_ms: int
    people: int | None


def upcoming_runs(schedule: Schedule, now_ms: int, limit: int, zone: str) -> list[UpcomingRun]:
    """The next runs; those on people's dates are shown at their time of day in `zone`.

    Empty if the timing cannot be read, so that one such schedule does not hide the others.
    """
    try:
        return _upcoming_runs(schedule, now_ms, limit, zone)
    except TimingError:
        return []


def _upcoming_runs(schedule: Schedule, now_ms: int, limit: int, zone: str) -> list[UpcomingRun]:
    if schedule.is_relative:
        near = runs_until(schedule, now_ms, now_ms + _NEAR_MS, zone)[:limit]
        return near if len(near) == limit else runs_until(schedule, now_ms, now_ms + _LOOK_AHEAD_MS, zone)[:limit]
    return list(islice(_fixed_runs(schedule, now_ms), limit))


def runs_until(schedule: Schedule, after_ms: int, until_ms: int, zone: str) -> list[UpcomingRun]:
    """The runs due after `after_ms` and before `until_ms`, in order; none if the timing cannot be read."""
    try:
        if schedule.is_relative:
            return list(_relative_runs(schedule, after_ms, until_ms, zone))
        return list(takewhile(lambda run: run.due_at_ms < until_ms, _fixed_runs(schedule, after_ms)))
    except TimingError:
        return []


def _fixed_runs(schedule: Schedule, after_ms: int) -> Iterator[UpcomingRun]:
    done = runs.run_keys(schedule.id)
    for occasion in schedule.fixed_timing.occasions(after_ms):
        if occasion.key not in done:
            yield UpcomingRun(schedule, occasion.key, occasion.due_at_ms, None)


def _relative_runs(schedule: Schedule, after_ms: int, until_ms: int, zone: str) -> Iterator[UpcomingRun]:
    skipped = runs.run_keys(schedule.id, state=RunState.SKIPPED)
    people = _people_by_day(schedule, local_day(after_ms, zone), local_day(until_ms - 1, zone), after_ms)
    for day, count in sorted(people.items()):
        if day.isoformat() not in skipped:
            due_at_ms = local_instant_ms(day, schedule.relative_timing.at, zone)
            yield UpcomingRun(schedule, day.isoformat(), due_at_ms, count)


def _people_by_day(schedule: Schedule, first: date, last: date, now_ms: int) -> Counter[date]:
    timing, people, audience = schedule.relative_timing, Counter[date](), run_audience(schedule, now_ms)
    attribute = person_dates.find_date_attribute(timing.attribute)
    if attribute is not None:
        for offset in timing.offsets:
            for _zone, day, count in person_dates.count_people(
                schedule.id, audience, attribute.id, offset, first, last
            ):
                people[day] += count
    return people


def count_run(run: UpcomingRun, now_ms: int) -> AudienceCounts:
    """What the run would send if it came now."""
    schedule, audience = run.schedule, run_audience(run.schedule, now_ms)
    version = find_template_version(schedule.template)
    if schedule.is_relative:
        timing, day = schedule.relative_timing, parse_day(run.key)
        attribute = person_dates.find_date_attribute(timing.attribute)
        occasions = [(offset, day) for offset in timing.offsets]
        audience = person_dates.due_audience(audience, schedule.id, attribute.id if attribute else 0, occasions)
    return count_audience(version, audience, complete_values(version, schedule.data), now_ms)

"""The month view of schedules: the days of a month, with the runs of each."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from portal.schedules.rules.local_times import local_day, local_instant_ms
from portal.schedules.rules.schedule_states import ScheduleState
from portal.schedules.rules.timing_input import parse_day, parse_time_of_day
from portal.schedules.tables.runs import ScheduleRun, runs_between
from portal.schedules.tables.schedules import schedules_in_state
from portal.schedules.upcoming import UpcomingRun, runs_until
from portal.web.time_display import current_time_zone, first_weekday

_MIDNIGHT = parse_time_of_day("00:00")


@dataclass(frozen=True)
class MonthDay:
    """`is_outside` if it only completes a week."""

    day: date
    is_outside: bool
    is_today: bool
    past: list[ScheduleRun]
    upcoming: list[UpcomingRun]


def requested_month(text: str, now_ms: int) -> date:
    """The first day of a month such as 2027-01; without one, of this month."""
    try:
        return parse_day(f"{text}-01")
    except ValueError:
        return local_day(now_ms, current_time_zone().key).replace(day=1)


def month_after(first: date, months: int = 1) -> date:
    """The first day of the next month, or with -1 of the one before."""
    return (first + timedelta(days=31 if months > 0 else -1)).replace(day=1)


def month_weeks(first: date, now_ms: int) -> list[list[MonthDay]]:
    """In the viewer's time zone and with the first weekday of the region."""
    begin = first - timedelta(days=(first.weekday() - first_weekday()) % 7)
    last = month_after(first) - timedelta(days=1)
    weeks = ((last - begin).days // 7) + 1
    past, upcoming = _past_runs(first), _upcoming_runs(first, now_ms)
    today = local_day(now_ms, current_time_zone().key)
    days = [begin + timedelta(days=number) for number in range(weeks * 7)]
    rows = [MonthDay(day, day.month != first.month, day == today, past[day], upcoming[day]) for day in days]
    return [rows[start : start + 7] for start in range(0, len(rows), 7)]


def _past_runs(first: date) -> Mapping[date, list[ScheduleRun]]:
    zone, by_day = current_time_zone().key, defaultdict[date, list[ScheduleRun]](list)
    for run in runs_between(*_bounds_ms(first)):
        by_day[local_day(run.due_at_ms, zone)].append(run)
    return by_day


def _upcoming_runs(first: date, now_ms: int) -> Mapping[date, list[UpcomingRun]]:
    zone, by_day = current_time_zone().key, defaultdict[date, list[UpcomingRun]](list)
    begin_ms, end_ms = _bounds_ms(first)
    found = [
        run
        for schedule in schedules_in_state(ScheduleState.ACTIVE)
        for run in runs_until(schedule, max(begin_ms - 1, now_ms), end_ms, zone)
    ]
    for run in sorted(found, key=lambda run: run.due_at_ms):
        by_day[local_day(run.due_at_ms, zone)].append(run)
    return by_day


def _bounds_ms(first: date) -> tuple[int, int]:
    zone = current_time_zone().key
    return local_instant_ms(first, _MIDNIGHT, zone), local_instant_ms(month_after(first), _MIDNIGHT, zone)

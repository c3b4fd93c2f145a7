"""Skip one run of a schedule, or send it before its time."""

from portal.core.errors import ActionRefused
from portal.core.transaction import transaction
from portal.core.translation import gettext as _
from portal.schedules import people_planning, planning
from portal.schedules.rules.local_times import local_instant_ms
from portal.schedules.rules.schedule_states import RunState
from portal.schedules.rules.timing import next_occasions
from portal.schedules.rules.timing_input import parse_day
from portal.schedules.running import start_run
from portal.schedules.schedule_changes import lock_open_schedule, record_change
from portal.schedules.tables import runs
from portal.schedules.tables.runs import ScheduleRun
from portal.schedules.tables.schedules import Schedule

LISTED_OCCASIONS = 60
"""Only the next so many can be skipped or brought forward."""


def skip_occasion(schedule_id: int, actor_id: int | None, now_ms: int, key: str) -> None:
    """Nobody gets this run."""
    with transaction():
        schedule = lock_open_schedule(schedule_id)
        due_at_ms = _due_at_ms(schedule, key, now_ms)
        runs.add_run(schedule.id, key, due_at_ms, RunState.SKIPPED, now_ms)
        planning.set_next_check(schedule, now_ms)
        record_change("schedule_run_skipped", schedule, actor_id, now_ms, occasion=key)


def run_occasion_now(schedule_id: int, actor_id: int | None, now_ms: int, key: str) -> int:
    """Send a run before its time, in place of that time; the id of the run."""
    with transaction():
        schedule = lock_open_schedule(schedule_id)
        _due_at_ms(schedule, key, now_ms)
        run = _add_run_now(schedule, key, _begin_ms(schedule, now_ms), now_ms)
        run.requested_by_id, run_id = actor_id, run.id
        planning.set_next_check(schedule, now_ms)
        record_change("schedule_run_early", schedule, actor_id, now_ms, occasion=key)
    start_run(run_id, now_ms, is_requested=True)
    return run_id


def _begin_ms(schedule: Schedule, now_ms: int) -> int:
    """Now, but not before the schedule was active: then nothing is sent."""
    return max(now_ms, schedule.active_from_ms + 1)


def _add_run_now(schedule: Schedule, key: str, due_at_ms: int, now_ms: int) -> ScheduleRun:
    if not schedule.is_relative:
        return runs.add_run(schedule.id, key, due_at_ms, RunState.PLANNED, now_ms)
    groups = people_planning.groups_on(schedule, parse_day(key), now_ms)
    run = people_planning.add_run_for_people(schedule, groups, due_at_ms, now_ms) if groups else None
    if run is None:
        raise ActionRefused(_("Nobody is due on this day, or all of them have already got this message."))
    return run


def _due_at_ms(schedule: Schedule, key: str, now_ms: int) -> int:
    """When an occasion that can still be skipped or brought forward is due."""
    if key in runs.run_keys(schedule.id):
        raise ActionRefused(_("This run has already been sent or skipped."))
    if schedule.is_relative:
        return _due_on_day_ms(schedule, key)
    occasions = next_occasions(schedule.fixed_timing, now_ms, LISTED_OCCASIONS)
    due_at_ms = next((occasion.due_at_ms for occasion in occasions if occasion.key == key), None)
    if due_at_ms is None:
        raise ActionRefused(_("This run no longer comes: it has begun, or the schedule was changed."))
    return due_at_ms


def _due_on_day_ms(schedule: Schedule, key: str) -> int:
    try:
        day = parse_day(key)
    except ValueError as error:
        raise ActionRefused(str(error)) from error
    return local_instant_ms(day, schedule.relative_timing.at, "UTC")

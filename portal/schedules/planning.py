"""Plan the runs that are due: one row for each, under a lock on the schedule, before anything is sent.

Whoever comes second finds the rows and plans nothing.
"""

from portal.core import audit_log
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.schedules import people_planning
from portal.schedules.rules import schedule_states
from portal.schedules.rules.lateness import MINUTE_MS
from portal.schedules.rules.schedule_states import RunState, ScheduleState
from portal.schedules.rules.timing import Occasion, next_occasions
from portal.schedules.rules.timing_input import TimingError
from portal.schedules.tables import runs
from portal.schedules.tables.schedules import Schedule, lock_schedule

_MAX_OVERDUE = 366


def plan_schedule(schedule_id: int, now_ms: int) -> None:
    """Does nothing if another scheduler has planned these runs, or if the schedule was changed meanwhile."""
    schedule = db.session.get_one(Schedule, schedule_id)
    # read before the transaction, so that the lock is held only while there is something to write
    due = people_planning.people_due(schedule, now_ms) if schedule.is_relative else None
    basis = _basis(schedule)
    with transaction():
        locked = lock_schedule(schedule_id)
        if locked is None or _basis(locked) != basis or not _is_check_due(locked, now_ms):
            return
        if due is None:
            _plan_occasions(locked, now_ms)
        else:
            _plan_people(locked, due, now_ms)
        locked.checked_through_ms = now_ms
        set_next_check(locked, now_ms)


def _basis(schedule: Schedule) -> tuple[int, int]:
    """What a plan rests on. If it has changed, the next round plans again."""
    return schedule.version, schedule.active_from_ms


def _is_check_due(schedule: Schedule, now_ms: int) -> bool:
    return schedule.state == ScheduleState.ACTIVE and (schedule.next_check_at_ms or now_ms + 1) <= now_ms


def _plan_occasions(schedule: Schedule, now_ms: int) -> None:
    """Of several overdue occasions, only the last is sent: nobody wants the same text three times."""
    overdue = overdue_occasions(schedule, now_ms)
    for occasion in overdue:
        reason = schedule.late_policy.missed_reason(occasion.due_at_ms, now_ms)
        if reason or occasion != overdue[-1]:
            run = runs.add_run(schedule.id, occasion.key, occasion.due_at_ms, RunState.MISSED, now_ms)
            _record_missed(schedule, run, reason or schedule_states.OVERTAKEN, now_ms)
        else:
            runs.add_run(schedule.id, occasion.key, occasion.due_at_ms, RunState.PLANNED, now_ms)


def _overdue(schedule: Schedule, now_ms: int) -> list[Occasion]:
    """The last of those that came due since the last check."""
    overdue: list[Occasion] = []
    for occasion in schedule.fixed_timing.occasions(schedule.checked_through_ms):
        if occasion.due_at_ms > now_ms:
            break
        overdue.append(occasion)
    return overdue[-_MAX_OVERDUE:]


def overdue_occasions(schedule: Schedule, now_ms: int) -> list[Occasion]:
    """What came due and has not been dealt with. Empty if dates of people decide, or if the timing cannot be read."""
    if schedule.is_relative:
        return []
    try:
        done = runs.run_keys(schedule.id)
        return [occasion for occasion in _overdue(schedule, now_ms) if occasion.key not in done]
    except TimingError:
        return []


def add_missed_runs(schedule: Schedule, occasions: list[Occasion], now_ms: int) -> None:
    """List what was overdue before the timing was changed, but for days on which the schedule still runs."""
    coming = next_occasions(schedule.fixed_timing, now_ms, 3) if occasions and not schedule.is_relative else []
    for occasion in occasions:
        if occasion.key not in {following.key for following in coming}:
            run = runs.add_run(schedule.id, occasion.key, occasion.due_at_ms, RunState.MISSED, now_ms)
            _record_missed(schedule, run, schedule_states.NOT_ACTIVE, now_ms)


def _plan_people(schedule: Schedule, due: people_planning.DuePeople, now_ms: int) -> None:
    """The latest first: whoever is late for several occasions gets only the last."""
    for due_at_ms in sorted(due.groups, reverse=True):
        people_planning.add_run_for_people(schedule, due.groups[due_at_ms], due_at_ms, now_ms)
    add_missed_people(schedule, due, now_ms, schedule.late_policy.missed_reason(due.missed_from_ms, now_ms))


def add_missed_people(
    schedule: Schedule, due: people_planning.DuePeople, now_ms: int, reason: str = schedule_states.NOT_ACTIVE
) -> None:
    """List whoever is too late, if there is anybody."""
    if due.missed_count:
        _record_missed(schedule, people_planning.add_missed_run(schedule, due, now_ms), reason, now_ms)


def _record_missed(schedule: Schedule, run: runs.ScheduleRun, reason: str, now_ms: int) -> None:
    run.reason = reason
    audit_log.record_audit_entry("schedule_run_missed", f"schedule {schedule.name}", None, now_ms, reason=reason)


def delay_next_check(schedule: Schedule, now_ms: int) -> None:
    """A run on dates of people has failed: they are due again, but the next try would fail as well."""
    if schedule.is_relative and schedule.state == ScheduleState.ACTIVE:
        schedule.next_check_at_ms = now_ms + schedule.late_policy.retry_ms


def set_next_check(schedule: Schedule, now_ms: int) -> None:
    """The scheduler looks at it again at its next occasion, or each minute if people have dates of their own.

    A schedule without another occasion ends.
    """
    if schedule.is_relative:
        schedule.next_check_at_ms = (now_ms // MINUTE_MS + 1) * MINUTE_MS
        return
    done = runs.run_keys(schedule.id)
    following = (occasion for occasion in schedule.fixed_timing.occasions(now_ms) if occasion.key not in done)
    next_occasion = next(following, None)
    schedule.next_check_at_ms = next_occasion.due_at_ms if next_occasion else None
    if next_occasion is None and schedule.state == ScheduleState.ACTIVE:
        schedule.state = ScheduleState.ENDED
        audit_log.record_audit_entry("schedule_completed", f"schedule {schedule.name}", None, now_ms)

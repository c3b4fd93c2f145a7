"""Create, change, pause, resume and end schedules."""

from typing import Any

from sqlalchemy.exc import IntegrityError

from portal.core import audit_log
from portal.core.errors import ActionRefused
from portal.core.transaction import transaction
from portal.core.translation import gettext as _
from portal.schedules import people_planning, planning
from portal.schedules.rules.schedule_states import ScheduleState
from portal.schedules.rules.timing import ScheduleKind
from portal.schedules.schedule_validation import ScheduleDraft, checked_columns
from portal.schedules.tables import runs, schedules
from portal.schedules.tables.schedules import Schedule, lock_schedule


class ScheduleChanged(ActionRefused):
    """Somebody else changed the schedule after this edit began."""

    def __init__(self) -> None:
        super().__init__(
            _("Somebody changed this schedule while you were editing. Your changes are still here: compare, then save.")
        )


def create_schedule(draft: ScheduleDraft, author_id: int | None, now_ms: int, request_key: str = "") -> int:
    """The id. Repeating a `request_key` returns the same schedule. Raises `InvalidInput`."""
    columns = {**checked_columns(draft, now_ms), "request_key": request_key or None}
    columns |= {"created_at_ms": now_ms, "created_by_id": author_id, "changed_by_id": author_id}
    columns |= {"active_from_ms": now_ms, "checked_through_ms": now_ms}
    try:
        return _insert_or_find(columns)
    except IntegrityError:
        return _insert_or_find(columns)


def _insert_or_find(columns: dict[str, Any]) -> int:
    with transaction() as session:
        existing = schedules.find_by_request_key(columns["request_key"]) if columns["request_key"] else None
        if existing:
            return existing.id
        schedule = Schedule(**columns)
        session.add(schedule)
        session.flush()
        planning.set_next_check(schedule, columns["created_at_ms"])
        record_change("schedule_created", schedule, columns["created_by_id"], columns["created_at_ms"])
        return schedule.id


def save_form(draft: ScheduleDraft, author_id: int, now_ms: int, form_key: str, digest: str) -> int:
    """The id. The same form with other values, as after Back, changes the schedule that it made.

    Raises `InvalidInput`, or `ActionRefused` if somebody else has changed that schedule since.
    """
    request_key = f"{form_key}:{digest}"
    earlier = schedules.find_open_schedule_of_form(form_key)
    if earlier is None or earlier.request_key == request_key:
        return create_schedule(draft, author_id, now_ms, request_key)
    if earlier.changed_by_id != author_id:
        raise ScheduleChanged
    schedule_id = earlier.id
    change_schedule(schedule_id, draft, earlier.version, author_id, now_ms, request_key)
    return schedule_id


def change_schedule(
    schedule_id: int,
    draft: ScheduleDraft,
    base_version: int,
    actor_id: int | None,
    now_ms: int,
    request_key: str = "",
) -> None:
    """Raises `InvalidInput`, `ScheduleChanged` if `base_version` is no longer current, or `ActionRefused`.

    What was due before the change is listed as missed, unless only people's dates decide: they are due by the new
    times.
    """
    columns = checked_columns(draft, now_ms) | ({"request_key": request_key} if request_key else {})
    with transaction():
        schedule = lock_open_schedule(schedule_id)
        if schedule.version != base_version:
            raise ScheduleChanged
        is_same_dates = schedule.is_relative and draft.timing.get("attribute") == schedule.timing.get("attribute")
        overdue, overdue_people = planning.overdue_occasions(schedule, now_ms), None
        if not (is_same_dates and draft.kind == ScheduleKind.RELATIVE):
            columns |= {"active_from_ms": now_ms, "checked_through_ms": now_ms}
            overdue_people = people_planning.people_overdue(schedule, now_ms)
        for name, value in (columns | {"changed_by_id": actor_id}).items():
            setattr(schedule, name, value)
        schedule.version += 1
        planning.add_missed_runs(schedule, overdue, now_ms)
        if overdue_people:
            planning.add_missed_people(schedule, overdue_people, now_ms)
        planning.set_next_check(schedule, now_ms)
        record_change("schedule_changed", schedule, actor_id, now_ms)


def pause_schedule(schedule_id: int, actor_id: int | None, now_ms: int) -> None:
    """Raises `ActionRefused` if it has ended; so do the others."""
    _change_state(schedule_id, ScheduleState.PAUSED, "schedule_paused", actor_id, now_ms)


def resume_schedule(schedule_id: int, actor_id: int | None, now_ms: int) -> None:
    """What was due while it was paused is listed as missed."""
    _change_state(schedule_id, ScheduleState.ACTIVE, "schedule_resumed", actor_id, now_ms)


def end_schedule(schedule_id: int, actor_id: int | None, now_ms: int) -> None:
    """For good. What it has sent stays."""
    _change_state(schedule_id, ScheduleState.ENDED, "schedule_ended", actor_id, now_ms)


def _change_state(schedule_id: int, state: ScheduleState, action: str, actor_id: int | None, now_ms: int) -> None:
    with transaction():
        schedule = lock_open_schedule(schedule_id)
        if schedule.state == state:
            return
        schedule.state = state
        if state == ScheduleState.ACTIVE:
            schedule.active_from_ms = schedule.next_check_at_ms = now_ms
        if state == ScheduleState.ENDED:
            runs.hold_planned_runs_of(schedule_id)
        record_change(action, schedule, actor_id, now_ms)


def lock_open_schedule(schedule_id: int) -> Schedule:
    schedule = lock_schedule(schedule_id)
    if schedule is None:
        raise ActionRefused(_("There is no schedule %(id)s.", id=str(schedule_id)))
    if schedule.state == ScheduleState.ENDED:
        raise ActionRefused(_("This schedule has ended. Create a new one."))
    return schedule


def record_change(action: str, schedule: Schedule, actor_id: int | None, now_ms: int, **detail: Any) -> None:
    detail |= {"schedule_id": schedule.id}
    audit_log.record_audit_entry(action, f"schedule {schedule.name}", actor_id, now_ms, **detail)

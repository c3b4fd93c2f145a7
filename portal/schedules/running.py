"""Run the schedules that are due. Each run makes one send, however often and by however many schedulers it is tried."""

from collections.abc import Callable, Iterable
from contextlib import suppress

import structlog

from portal.core import audit_log
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.messages import restore_check
from portal.schedules import planning
from portal.schedules.planning import plan_schedule
from portal.schedules.rules import schedule_states
from portal.schedules.rules.schedule_states import RunState, ScheduleState
from portal.schedules.run_audience import run_audience
from portal.schedules.tables import runs, schedules
from portal.schedules.tables.runs import ScheduleRun
from portal.sends import send_approval
from portal.sends.send_creation import create_send
from portal.sends.tables import audience as audiences
from portal.sends.tables import schedule_recipients
from portal.sends.tables.sends import find_by_request_key

_log = structlog.get_logger(__name__)


def run_due_schedules(now_ms: int) -> None:
    """The scheduler runs this each round."""
    if not restore_check.restore_check_passed(now_ms):
        return
    _for_each(schedules.due_schedule_ids(now_ms), lambda schedule_id: plan_schedule(schedule_id, now_ms))
    _for_each(runs.planned_run_ids(), lambda run_id: start_run(run_id, now_ms))


def _for_each(ids: Iterable[int], action: Callable[[int], object]) -> None:
    """One that fails does not stop the others; the next round tries it again."""
    for row_id in ids:
        try:
            action(row_id)
        except Exception:
            _log.exception("schedule step failed; will retry", id=row_id)
        finally:
            db.session.rollback()


def start_run(run_id: int, now_ms: int, is_requested: bool = False) -> None:
    """Make the send of a planned run, unless the audience is empty or the template cannot be filled in.

    The schedule may have been changed, paused or ended since the run was planned. While it is paused, a run is held
    back unless a person has just requested it.
    """
    run = db.session.get(ScheduleRun, run_id, populate_existing=True)
    if run is None or run.state != RunState.PLANNED:
        return
    send = find_by_request_key(run.request_key)
    if send is not None:
        _finish_sent(run_id, now_ms, send.id)
        return
    schedule = run.schedule
    if reason := schedule.late_policy.missed_reason(run.due_at_ms, now_ms):
        _finish(run_id, RunState.MISSED, now_ms, reason=reason)
        return
    if schedule.state == ScheduleState.PAUSED and not is_requested:
        return
    audience = run_audience(schedule, now_ms) if run.recipients is None else {"schedule_run": run_id}
    if not audiences.count_recipients(audience):
        _finish(run_id, RunState.EMPTY, now_ms, reason=schedule_states.NOBODY)
        return
    values = (
        schedule.template.key,
        audience,
        schedule.data,
        run.requested_by_id or schedule.changed_by_id,
        now_ms,
        run.request_key,
    )
    try:
        deadline_ms = schedule.late_policy.deadline_ms(run.due_at_ms)
        send_id = create_send(*values, tries_recipients=False, start_deadline_ms=deadline_ms)
    except ActionRefused as error:
        _finish(run_id, RunState.FAILED, now_ms, reason=error.message)
        return
    _finish_sent(run_id, now_ms, send_id)


def _finish_sent(run_id: int, now_ms: int, send_id: int) -> None:
    """Whatever waits for approval since an earlier run is withdrawn: the audience would get both."""
    run = db.session.get_one(ScheduleRun, run_id)
    earlier_ids = runs.unapproved_send_ids(run) if run.recipients is None else []
    for earlier_id in earlier_ids:
        with suppress(ActionRefused):  # somebody has decided in the meantime
            send_approval.supersede_send(earlier_id, now_ms)
    _finish(run_id, RunState.SENT, now_ms, send_id=send_id)


def _finish(run_id: int, state: RunState, now_ms: int, reason: str = "", send_id: int | None = None) -> None:
    with transaction() as session:
        if runs.finish_run(run_id, state, reason, send_id) and state != RunState.SENT:
            schedule = session.get_one(ScheduleRun, run_id).schedule
            schedule_recipients.release_people(run_id)
            if state == RunState.FAILED:
                planning.delay_next_check(schedule, now_ms)
            subject = f"schedule {schedule.name}"
            audit_log.record_audit_entry(f"schedule_run_{state}", subject, None, now_ms, reason=reason)


def hold_after_restore(now_ms: int) -> None:
    """Send nothing that came due before now: nobody knows whether it was sent. Inside a transaction."""
    schedules.restart_all(now_ms)
    runs.hold_planned_runs()

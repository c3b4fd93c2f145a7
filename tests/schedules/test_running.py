"""Runs of schedules: each occasion becomes one send, also after an outage."""

import threading

import pytest
from flask import Flask
from sqlalchemy import update

from portal.accounts.tables.accounts import Account
from portal.core.audit_log import audit_page_before
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.schedules import occasion_changes, planning, schedule_changes
from portal.schedules.running import hold_after_restore, run_due_schedules, start_run
from portal.schedules.schedule_changes import ScheduleChanged
from portal.schedules.tables import runs
from portal.schedules.tables.schedules import Schedule
from portal.sends import send_approval
from portal.sends.send_creation import create_send
from tests.support import scenario
from tests.support.schedules.schedule_scenario import (
    DAY_MS,
    HOUR_MS,
    add_daily,
    add_date_attribute,
    add_once,
    add_person,
    add_relative,
    at_ms,
    draft,
    run_states,
    sends,
    set_date,
)

pytestmark = pytest.mark.usefixtures("app")
_NOW_MS = at_ms("2027-01-01T12:00")
_NINE_MS = at_ms("2027-01-02T09:00")


@pytest.fixture(autouse=True)
def template_and_people(app: Flask) -> None:
    scenario.configure_gateway()
    scenario.add_template()
    for number in range(3):
        add_person(f"P-{number}")


def _state(schedule_id: int) -> str:
    return db.session.get_one(Schedule, schedule_id, populate_existing=True).state


def test_a_schedule_runs_once_at_its_time_and_then_ends() -> None:
    schedule_id = add_once("2027-01-02", _NOW_MS)
    for now_ms in (_NINE_MS - 1, _NINE_MS, _NINE_MS + 1, _NINE_MS + DAY_MS):
        run_due_schedules(now_ms)
    assert [send.created_at_ms for send in sends()] == [_NINE_MS]
    assert run_states(schedule_id) == [("2027-01-02", "sent")]
    assert _state(schedule_id) == "ended"


def test_each_occasion_of_a_repetition_is_one_send() -> None:
    add_daily("2027-01-02", _NOW_MS)
    for hour in range(24 * 4):
        run_due_schedules(_NOW_MS + hour * HOUR_MS)
    assert [send.created_at_ms for send in sends()] == [_NINE_MS + day * DAY_MS for day in range(4)]


def test_after_a_outage_only_the_last_run_is_sent() -> None:
    schedule_id = add_daily("2027-01-02", _NOW_MS, late_hours=72)
    run_due_schedules(_NINE_MS + 2 * DAY_MS + HOUR_MS)
    assert run_states(schedule_id) == [("2027-01-02", "missed"), ("2027-01-03", "missed"), ("2027-01-04", "sent")]
    assert len(sends()) == 1


def test_a_run_that_is_too_late_is_listed_as_missed() -> None:
    schedule_id = add_once("2027-01-02", _NOW_MS, late_hours=2)
    run_due_schedules(_NINE_MS + 3 * HOUR_MS)
    assert run_states(schedule_id) == [("2027-01-02", "missed")]
    assert sends() == []
    assert audit_page_before(None, 2)[1].action == "schedule_run_missed"


@pytest.mark.parametrize(("minutes", "state"), [(1, "sent"), (11, "missed")])
def test_a_schedule_that_skips_late_runs_sends_only_on_time(minutes: int, state: str) -> None:
    schedule_id = add_once("2027-01-02", _NOW_MS, late_hours=0)
    run_due_schedules(_NINE_MS + minutes * 60_000)
    assert run_states(schedule_id) == [("2027-01-02", state)]


def test_a_pause_sends_nothing_later_either() -> None:
    schedule_id = add_daily("2027-01-02", _NOW_MS)
    schedule_changes.pause_schedule(schedule_id, None, _NOW_MS)
    run_due_schedules(_NINE_MS)
    schedule_changes.resume_schedule(schedule_id, None, _NINE_MS + HOUR_MS)
    run_due_schedules(_NINE_MS + HOUR_MS)
    assert run_states(schedule_id) == [("2027-01-02", "missed")]
    run_due_schedules(_NINE_MS + DAY_MS)
    assert run_states(schedule_id)[-1] == ("2027-01-03", "sent")


def test_a_new_time_of_day_does_not_repeat_the_day() -> None:
    schedule_id = add_daily("2027-01-02", _NOW_MS)
    run_due_schedules(_NINE_MS)
    schedule = db.session.get_one(Schedule, schedule_id)
    changed = draft("recurring", schedule.timing | {"time": "15:00"})
    schedule_changes.change_schedule(schedule_id, changed, schedule.version, None, _NINE_MS + HOUR_MS)
    run_due_schedules(at_ms("2027-01-02T15:00"))
    assert len(sends()) == 1
    run_due_schedules(at_ms("2027-01-03T15:00"))
    assert len(sends()) == 2


def test_the_second_of_two_edits_is_refused() -> None:
    schedule_id = add_daily("2027-01-02", _NOW_MS)
    timing = db.session.get_one(Schedule, schedule_id).timing
    schedule_changes.change_schedule(schedule_id, draft("recurring", timing), 1, None, _NOW_MS)
    with pytest.raises(ScheduleChanged):
        schedule_changes.change_schedule(schedule_id, draft("recurring", timing), 1, None, _NOW_MS)


def test_a_run_sent_early_does_not_come_again() -> None:
    schedule_id = add_daily("2027-01-02", _NOW_MS)
    occasion_changes.run_occasion_now(schedule_id, None, _NOW_MS, "2027-01-02")
    with pytest.raises(ActionRefused, match="already"):
        occasion_changes.run_occasion_now(schedule_id, None, _NOW_MS, "2027-01-02")
    run_due_schedules(_NINE_MS)
    assert [send.created_at_ms for send in sends()] == [_NOW_MS]


def test_a_skipped_run_is_sent_to_nobody() -> None:
    schedule_id = add_daily("2027-01-02", _NOW_MS)
    occasion_changes.skip_occasion(schedule_id, None, _NOW_MS, "2027-01-02")
    run_due_schedules(_NINE_MS)
    assert run_states(schedule_id) == [("2027-01-02", "skipped")]
    run_due_schedules(_NINE_MS + DAY_MS)
    assert run_states(schedule_id)[-1] == ("2027-01-03", "sent")


def test_an_audience_that_is_empty_at_its_time_gets_no_send() -> None:
    schedule_id = add_once("2027-01-02", _NOW_MS, audience={"account_type": "Practitioner"})
    with transaction() as session:
        session.execute(update(Account).values(active=False))
    run_due_schedules(_NINE_MS)
    assert run_states(schedule_id) == [("2027-01-02", "empty")]
    assert sends() == []


def test_a_template_that_cannot_be_filled_in_fails_the_run_only() -> None:
    schedule_id = add_daily("2027-01-02", _NOW_MS)
    with transaction() as session:
        session.get_one(Schedule, schedule_id).template.versions[0].subject = "{{ data.fee }}"
    run_due_schedules(_NINE_MS)
    (run,) = runs.latest_runs(schedule_id, 5)
    assert (run.state, "fee" in run.reason) == ("failed", True)
    assert _state(schedule_id) == "active"
    assert audit_page_before(None, 1)[0].action == "schedule_run_failed"


def test_a_process_that_dies_before_it_notes_the_send_makes_no_other() -> None:
    schedule_id = add_once("2027-01-02", _NOW_MS)
    planning.plan_schedule(schedule_id, _NINE_MS)
    (run,) = runs.latest_runs(schedule_id, 1)
    create_send("renewal", {"all": True}, {}, None, _NINE_MS, run.request_key)
    run_due_schedules(_NINE_MS + 60_000)
    assert run_states(schedule_id) == [("2027-01-02", "sent")]
    assert len(sends()) == 1


def test_two_schedulers_at_once_make_one_send(app: Flask) -> None:
    schedule_id = add_daily("2027-01-02", _NOW_MS)
    barrier = threading.Barrier(4)

    def schedule() -> None:
        with app.app_context():
            barrier.wait()
            run_due_schedules(_NINE_MS)
            db.session.remove()

    db.session.rollback()
    threads = [threading.Thread(target=schedule) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run_due_schedules(_NINE_MS + 60_000)
    assert run_states(schedule_id) == [("2027-01-02", "sent")]
    assert len(sends()) == 1


def test_nothing_that_was_due_before_a_restore_is_sent() -> None:
    planned, waiting = add_once("2027-01-02", _NOW_MS), add_daily("2027-01-02", _NOW_MS)
    planning.plan_schedule(planned, _NINE_MS)
    with transaction():
        hold_after_restore(_NINE_MS + HOUR_MS)
    run_due_schedules(_NINE_MS + HOUR_MS)
    assert run_states(planned) == run_states(waiting) == [("2027-01-02", "missed")]
    assert sends() == []


def test_a_run_that_is_no_longer_planned_starts_nothing() -> None:
    schedule_id = add_once("2027-01-02", _NOW_MS)
    run_due_schedules(_NINE_MS)
    start_run(runs.latest_runs(schedule_id, 1)[0].id, _NINE_MS)
    assert len(sends()) == 1


def test_a_planned_run_is_not_sent_after_its_time_is_over() -> None:
    schedule_id = add_once("2027-01-02", _NOW_MS, late_hours=0)
    planning.plan_schedule(schedule_id, _NINE_MS)
    run_due_schedules(_NINE_MS + 3 * DAY_MS)
    assert run_states(schedule_id) == [("2027-01-02", "missed")]
    assert sends() == []


def test_a_planned_run_is_not_sent_while_its_schedule_is_paused() -> None:
    schedule_id = add_daily("2027-01-02", _NOW_MS)
    planning.plan_schedule(schedule_id, _NINE_MS)
    schedule_changes.pause_schedule(schedule_id, None, _NINE_MS + 1)
    run_due_schedules(_NINE_MS + 2)
    assert run_states(schedule_id) == [("2027-01-02", "planned")]
    schedule_changes.resume_schedule(schedule_id, None, _NINE_MS + HOUR_MS)
    run_due_schedules(_NINE_MS + HOUR_MS)
    assert run_states(schedule_id) == [("2027-01-02", "missed")]
    assert sends() == []


def test_a_planned_run_is_not_sent_after_its_schedule_was_ended() -> None:
    schedule_id = add_daily("2027-01-02", _NOW_MS)
    planning.plan_schedule(schedule_id, _NINE_MS)
    schedule_changes.end_schedule(schedule_id, None, _NINE_MS + 1)
    run_due_schedules(_NINE_MS + 2)
    assert run_states(schedule_id) == [("2027-01-02", "missed")]
    assert sends() == []


def test_a_run_of_a_paused_schedule_can_be_sent_early() -> None:
    schedule_id = add_daily("2027-01-02", _NOW_MS)
    schedule_changes.pause_schedule(schedule_id, None, _NOW_MS + 1)
    occasion_changes.run_occasion_now(schedule_id, None, _NOW_MS + 2, "2027-01-02")
    assert len(sends()) == 1


def test_whoever_changed_a_schedule_last_or_sends_it_early_is_the_author() -> None:
    creator, editor, sender = (add_person(name) for name in ("creator", "editor", "sender"))
    schedule_id = add_daily("2027-01-02", _NOW_MS)
    with transaction() as session:
        schedule = session.get_one(Schedule, schedule_id)
        schedule.created_by_id = schedule.changed_by_id = creator
    changed = draft("recurring", db.session.get_one(Schedule, schedule_id).timing)
    schedule_changes.change_schedule(schedule_id, changed, 1, editor, _NOW_MS)
    run_due_schedules(_NINE_MS)
    occasion_changes.run_occasion_now(schedule_id, sender, _NINE_MS + HOUR_MS, "2027-01-03")
    assert [send.created_by_id for send in sends()] == [editor, sender]


@pytest.mark.parametrize(("time", "states"), [("07:00", [("2027-01-02", "missed")]), ("15:00", [])])
def test_what_is_overdue_when_the_time_is_changed_is_listed_or_still_comes(
    time: str, states: list[tuple[str, str]]
) -> None:
    schedule_id = add_daily("2027-01-02", _NOW_MS)
    timing = db.session.get_one(Schedule, schedule_id).timing | {"time": time}
    schedule_changes.change_schedule(schedule_id, draft("recurring", timing), 1, None, _NINE_MS + HOUR_MS)
    assert run_states(schedule_id) == states
    run_due_schedules(at_ms("2027-01-02T15:00"))
    assert len(sends()) == (not states)


def test_a_later_run_takes_the_place_of_one_that_waits_for_approval() -> None:
    scenario.configure_gateway(SendApprovalRecipients="2")
    add_daily("2027-01-02", _NOW_MS)
    add_daily("2027-01-02", _NOW_MS)
    for day in range(2):
        run_due_schedules(_NINE_MS + day * DAY_MS)
    assert [send.state for send in sends()] == ["canceled", "canceled", "awaiting_approval", "awaiting_approval"]
    assert "send_superseded" in {entry.action for entry in audit_page_before(None, 9)}


@pytest.mark.parametrize(("late_hours", "minutes"), [(2, 120), (0, 10)])
def test_a_send_that_waits_for_approval_has_the_limit_of_its_schedule(late_hours: int, minutes: int) -> None:
    scenario.configure_gateway(SendApprovalRecipients="2")
    add_once("2027-01-02", _NOW_MS, late_hours=late_hours)
    run_due_schedules(_NINE_MS)
    (send,) = sends()
    assert [send_approval.is_late(send, _NINE_MS + minutes * 60_000 + offset) for offset in (-1, 0)] == [False, True]


def test_a_run_for_other_people_leaves_the_earlier_one_to_be_approved() -> None:
    scenario.configure_gateway(SendApprovalRecipients="1")
    add_date_attribute()
    for number, day in enumerate(("2027-01-09", "2027-01-09", "2027-01-10", "2027-01-10")):
        set_date(add_person(f"D-{number}"), day)
    add_relative("7", _NOW_MS)
    for day_number in range(2):
        run_due_schedules(_NINE_MS + day_number * DAY_MS)
    assert [send.state for send in sends()] == ["awaiting_approval", "awaiting_approval"]

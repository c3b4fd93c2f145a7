"""Schedules on a date of each person: each occasion once, at the right local time, whatever happens."""

import itertools
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from portal.accounts.tables.accounts import Account
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.schedules import occasion_changes, planning, schedule_changes
from portal.schedules.rules.local_times import local_instant_ms
from portal.schedules.running import run_due_schedules
from portal.schedules.tables import runs
from portal.schedules.tables.schedules import Schedule
from portal.schedules.upcoming import count_run, upcoming_runs
from portal.sends import fan_out
from portal.sends.tables.schedule_recipients import PERIOD_DAYS
from portal.sends.tables.sends import Send
from tests.schedules.rules.test_local_times import ZONES
from tests.support import scenario
from tests.support.schedules.schedule_scenario import (
    DAY_MS,
    HOUR_MS,
    add_date_attribute,
    add_person,
    add_relative,
    at_ms,
    draft,
    occasions_of,
    run_states,
    sends,
    set_date,
)

_NOW_MS = at_ms("2027-01-01T12:00")
_NAMES = itertools.count(1)


@pytest.fixture(autouse=True)
def template_and_attribute(app: Flask) -> None:
    scenario.configure_gateway()
    scenario.add_template()
    add_date_attribute()


def _run_hourly(first_ms: int, days: int, step_hours: int = 3) -> None:
    """Every three hours, which are on the hours at which messages are due."""
    for hour in range(0, days * 24 + 1, step_hours):
        run_due_schedules(first_ms + hour * HOUR_MS)


def test_each_person_gets_each_occasion_in_the_own_zone() -> None:
    people = {zone: add_person(zone, zone) for zone in ("America/New_York", "Asia/Tokyo", "UTC")}
    for account_id in people.values():
        set_date(account_id, "2027-01-10")
    add_relative("7, 6", _NOW_MS)
    _run_hourly(_NOW_MS, 4, step_hours=1)
    for zone, account_id in people.items():
        expected = [(offset, local_instant_ms(date(2027, 1, 10 - offset), time(9), zone)) for offset in (7, 6)]
        assert [(offset, created) for offset, _day, created in occasions_of(account_id)] == expected
    assert {send.recipients for send in _expanded()} == {1}


def _expanded() -> Sequence[Send]:
    for send in sends():
        fan_out.fan_out_send(send.id, lambda: _NOW_MS)
    return sends()


def test_people_who_are_due_together_share_a_send() -> None:
    for number in range(3):
        set_date(add_person(f"P-{number}"), "2027-01-10")
    add_relative("7", _NOW_MS)
    _run_hourly(_NOW_MS, 3)
    assert [send.recipients for send in _expanded()] == [3]


def test_a_corrected_date_repeats_nothing() -> None:
    account_id = add_person("P-1")
    set_date(account_id, "2027-01-10")
    add_relative("7, 3", _NOW_MS)
    _run_hourly(_NOW_MS, 2)
    set_date(account_id, "2027-01-12")
    _run_hourly(_NOW_MS + 2 * DAY_MS, 10)
    assert [(offset, day) for offset, day, _at in occasions_of(account_id)] == [(7, "2027-01-10"), (3, "2027-01-12")]


@pytest.mark.parametrize(("days", "count"), [(PERIOD_DAYS - 1, 1), (PERIOD_DAYS, 2)])
def test_a_date_that_moves_by_half_a_year_starts_again(days: int, count: int) -> None:
    account_id, moved = add_person("P-1"), date(2027, 1, 10) + timedelta(days=days)
    set_date(account_id, "2027-01-10")
    add_relative("7", _NOW_MS)
    _run_hourly(_NOW_MS, 3)
    set_date(account_id, moved)
    _run_hourly(at_ms(f"{moved}T00:00") - 8 * DAY_MS, 3)
    assert len(occasions_of(account_id)) == count


def test_a_person_late_for_two_occasions_gets_the_last_only() -> None:
    account_id = add_person("P-1")
    set_date(account_id, "2027-01-10")
    add_relative("7, 6", _NOW_MS, late_hours=72)
    run_due_schedules(_NOW_MS + 3 * DAY_MS)
    assert [offset for offset, *_rest in occasions_of(account_id)] == [6]
    run_due_schedules(_NOW_MS + 3 * DAY_MS + HOUR_MS)
    assert len(occasions_of(account_id)) == 1


def test_people_missed_during_a_outage_are_counted() -> None:
    set_date(add_person("P-1"), "2027-01-10")
    schedule_id = add_relative("7", _NOW_MS, late_hours=1)
    run_due_schedules(_NOW_MS + 3 * DAY_MS)
    assert [state for _key, state in run_states(schedule_id)] == ["missed"]
    run_due_schedules(_NOW_MS + 3 * DAY_MS + HOUR_MS)
    assert [state for _key, state in run_states(schedule_id)] == ["missed"]
    assert sends() == []


def test_a_date_entered_late_on_its_day_is_made_up_for() -> None:
    account_id = add_person("P-1")
    add_relative("7", _NOW_MS)
    run_due_schedules(at_ms("2027-01-03T09:00"))
    set_date(account_id, "2027-01-10")
    run_due_schedules(at_ms("2027-01-03T11:00"))
    assert len(occasions_of(account_id)) == 1


def test_people_outside_the_audience_get_nothing() -> None:
    differences: list[dict[str, Any]] = [{"active": False}, {"account_type": "Provider"}, {}]
    for number, columns in enumerate(differences):
        set_date(add_person(f"P-{number}", **columns), "2027-01-10")
    add_relative("7", _NOW_MS, audience={"account_type": "Practitioner"})
    _run_hourly(_NOW_MS, 3)
    assert [send.recipients for send in _expanded()] == [1]


def test_a_skipped_day_is_sent_to_nobody() -> None:
    account_id = add_person("P-1")
    set_date(account_id, "2027-01-10")
    schedule_id = add_relative("7, 6", _NOW_MS)
    occasion_changes.skip_occasion(schedule_id, None, _NOW_MS, "2027-01-03")
    _run_hourly(_NOW_MS, 4)
    assert [offset for offset, *_rest in occasions_of(account_id)] == [6]


def test_a_day_sent_early_does_not_come_again() -> None:
    account_id = add_person("P-1", "Asia/Tokyo")
    set_date(account_id, "2027-01-10")
    schedule_id = add_relative("7", _NOW_MS)
    (run,) = upcoming_runs(db.session.get_one(Schedule, schedule_id), _NOW_MS, 5, "UTC")
    assert (run.key, run.people, count_run(run, _NOW_MS).emails) == ("2027-01-03", 1, 1)
    occasion_changes.run_occasion_now(schedule_id, None, _NOW_MS, run.key)
    _run_hourly(_NOW_MS, 3)
    assert [created for *_rest, created in occasions_of(account_id)] == [_NOW_MS]
    assert upcoming_runs(db.session.get_one(Schedule, schedule_id), _NOW_MS, 5, "UTC") == []


def test_a_run_for_one_person_never_becomes_one_for_everybody() -> None:
    set_date(add_person("P-1"), "2027-01-10")
    add_person("P-2")
    schedule_id = add_relative("7", _NOW_MS)
    planning.plan_schedule(schedule_id, at_ms("2027-01-03T09:00"))
    timing = {"starts_on": "2027-01-05", "time": "09:00", "zone": "UTC"}
    with transaction() as session:
        schedule = session.get_one(Schedule, schedule_id)
        schedule.kind, schedule.timing = "once", timing
    run_due_schedules(at_ms("2027-01-03T09:01"))
    assert [send.recipients for send in _expanded()] == [1]


def _set_subject(schedule_id: int, subject: str) -> None:
    with transaction() as session:
        session.get_one(Schedule, schedule_id).template.versions[0].subject = subject


@pytest.mark.parametrize(("late_hours", "minutes"), [(24, 60), (1, 30), (0, 5)])
def test_people_of_a_failed_run_are_due_again_before_it_is_too_late(late_hours: int, minutes: int) -> None:
    account_id = add_person("P-1")
    set_date(account_id, "2027-01-10")
    schedule_id = add_relative("7", _NOW_MS, late_hours=late_hours)
    nine_ms = at_ms("2027-01-03T09:00")
    _set_subject(schedule_id, "{{ data.fee }}")
    for minute in range(minutes):
        run_due_schedules(nine_ms + minute * 60_000)
    assert [state for _key, state in run_states(schedule_id)] == ["failed"]
    _set_subject(schedule_id, "Hello")
    for minute in (minutes, 2 * minutes):
        run_due_schedules(nine_ms + minute * 60_000)
    assert [state for _key, state in run_states(schedule_id)] == ["failed", "sent"]
    assert occasions_of(account_id) == [(7, "2027-01-10", nine_ms + minutes * 60_000)]


@pytest.mark.parametrize(
    ("kind", "timing"),
    [
        ("relative", {"attribute": "renewed_on", "offsets": "7", "time": "09:00"}),
        ("once", {"starts_on": "2027-02-01", "time": "09:00", "zone": "UTC"}),
    ],
)
def test_people_overdue_when_other_dates_begin_to_count_are_listed_as_missed(kind: str, timing: dict[str, str]) -> None:
    add_date_attribute("renewed_on")
    for number in range(3):
        set_date(add_person(f"P-{number}"), "2027-01-10")
    schedule_id = add_relative("7", _NOW_MS)
    schedule_changes.change_schedule(schedule_id, draft(kind, timing), 1, None, at_ms("2027-01-03T11:00"))
    run_due_schedules(at_ms("2027-01-03T12:00"))
    (run,) = runs.latest_runs(schedule_id, 5)
    assert (run.state, run.recipients, run.due_at_ms) == ("missed", 3, at_ms("2027-01-03T09:00"))
    assert "before the schedule was changed" in run.reason
    assert sends() == []


def test_a_value_that_one_person_lacks_does_not_stop_the_others() -> None:
    for number in range(2):
        set_date(add_person(f"P-{number}"), "2027-01-10")
    schedule_id = add_relative("7", _NOW_MS)
    _set_subject(schedule_id, "{% if external_id == 'P-1' %}{{ data.due | date }}{% endif %}Hello")
    with transaction() as session:
        session.get_one(Schedule, schedule_id).data = {"due": "soon"}
    run_due_schedules(at_ms("2027-01-03T09:00"))
    assert [state for _key, state in run_states(schedule_id)] == ["sent"]


_CHANGES = (
    date(2027, 3, 14),
    date(2027, 3, 28),
    date(2027, 4, 4),
    date(2027, 10, 3),
    date(2027, 10, 31),
    date(2027, 11, 7),
)
"""Clocks change on these days in one of the zones or another."""
_OFFSETS = (6, 3, 1)
_OUTAGE_DAYS = 3


@dataclass
class Story:
    """People with dates near a clock change, and what happens to them."""

    change: date
    at: time
    zones: list[str]
    moved_by: int
    outage_after: int
    is_edited: bool

    @property
    def start_ms(self) -> int:
        return at_ms(f"{self.change}T00:00") - 8 * DAY_MS

    @property
    def outage(self) -> tuple[int, int]:
        begin_ms = self.start_ms + self.outage_after * DAY_MS
        return begin_ms, begin_ms + _OUTAGE_DAYS * DAY_MS

    def expected_ms(self, due_ms: int) -> int:
        """At its time, or when a scheduler runs again."""
        begin_ms, end_ms = self.outage
        return end_ms if begin_ms <= due_ms < end_ms else due_ms

    def play(self) -> dict[int, tuple[str, set[str]]]:
        """By account: the zone, and the dates that the account had."""
        people = {add_person(f"H-{next(_NAMES)}", zone): (zone, {str(self.change)}) for zone in self.zones}
        for account_id in people:
            set_date(account_id, self.change)
        schedule_id = add_relative("6, 3, 1", self.start_ms, f"{self.at:%H:%M}", late_hours=96)
        for step, now_ms in enumerate(self._moments()):
            before = len(sends())
            run_due_schedules(now_ms)
            run_due_schedules(now_ms)
            if len(sends()) > before:
                self._move_dates(people)
            if self.is_edited and step == 12:
                _rename(schedule_id, now_ms)
        return people

    def _moments(self) -> list[int]:
        """The local times of each day and the minutes before them, and the end of the outage."""
        days = [self.change + timedelta(days=number) for number in range(-7, self.moved_by + 1)]
        due = {local_instant_ms(day, self.at, zone) for day in days for zone in self.zones}
        begin_ms, end_ms = self.outage
        moments = due | {moment_ms - 60_000 for moment_ms in due} | {end_ms}
        return sorted(moment_ms for moment_ms in moments if not begin_ms <= moment_ms < end_ms)

    def _move_dates(self, people: dict[int, tuple[str, set[str]]]) -> None:
        """Of whoever got the first message."""
        moved = self.change + timedelta(days=self.moved_by)
        for account_id, (_zone, dates) in people.items():
            if str(moved) not in dates and occasions_of(account_id):
                dates.add(str(moved))
                set_date(account_id, moved)


@settings(
    max_examples=6,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.builds(
        Story,
        change=st.sampled_from(_CHANGES),
        at=st.sampled_from([time(0), time(1, 30), time(2, 30), time(9), time(23, 45)]),
        zones=st.lists(st.sampled_from(ZONES), min_size=1, max_size=3, unique=True),
        moved_by=st.integers(0, 4),
        outage_after=st.integers(0, 9),
        is_edited=st.booleans(),
    )
)
def test_each_occasion_comes_once_at_the_right_local_time(story: Story) -> None:
    """Two schedulers, an outage of three days, an edit, and dates that move after the first of three occasions."""
    _retire_everybody()
    for account_id, (zone, dates) in story.play().items():
        got = occasions_of(account_id)
        offsets = [offset for offset, *_rest in got]
        assert offsets == sorted(set(offsets), reverse=True)
        assert offsets[-1] == _OFFSETS[-1]  # the last always comes, late or not
        for offset, day, created_at_ms in got:
            due_ms = local_instant_ms(date.fromisoformat(day) - timedelta(days=offset), story.at, zone)
            assert day in dates
            assert created_at_ms == story.expected_ms(due_ms)


def _retire_everybody() -> None:
    with transaction() as session:
        session.execute(update(Schedule).values(state="ended"))
        session.execute(update(Account).values(active=False))


def _rename(schedule_id: int, now_ms: int) -> None:
    schedule = db.session.get_one(Schedule, schedule_id, populate_existing=True)
    changed = draft("relative", schedule.timing, name="New name", late_hours=96)
    schedule_changes.change_schedule(schedule_id, changed, schedule.version, None, now_ms)


def test_schedulers_that_run_at_once_plan_each_person_once(app: Flask) -> None:
    for number in range(20):
        set_date(add_person(f"P-{number}"), "2027-01-10")
    add_relative("7", _NOW_MS)
    barrier = threading.Barrier(4)

    def schedule() -> None:
        with app.app_context():
            barrier.wait()
            run_due_schedules(at_ms("2027-01-03T09:00"))
            db.session.remove()

    db.session.rollback()
    threads = [threading.Thread(target=schedule) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run_due_schedules(at_ms("2027-01-03T09:01"))
    assert [send.recipients for send in _expanded()] == [20]


def test_a_time_that_the_clock_skips_is_the_moment_of_the_change() -> None:
    account_id = add_person("P-1", "America/New_York")
    set_date(account_id, "2027-03-21")
    add_relative("7", at_ms("2027-03-10T00:00"), "02:30")
    for minute in range(5 * 60, 9 * 60, 5):
        run_due_schedules(at_ms("2027-03-14T00:00") + minute * 60_000)
    ((_offset, _day, created),) = occasions_of(account_id)
    local = datetime.fromtimestamp(created / 1000, UTC).astimezone(ZoneInfo("America/New_York"))
    assert f"{local:%Y-%m-%d %H:%M %Z}" == "2027-03-14 03:00 EDT"

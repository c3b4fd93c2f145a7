"""Scenario 23: a schedule on dates of people, with schedulers that are killed, away for three days, and two at once.

On PostgreSQL all processes use its clock, which a test cannot set, so there the dates of the people move instead.
"""

import signal
import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from tests.faults.support import skewed_clock
from tests.faults.support.engine_marks import on_engines
from tests.faults.support.fault_environment import FaultEnvironment
from tests.faults.support.fault_report import FaultReport
from tests.faults.support.invariants import check_emails, check_invariants, check_transitions
from tests.faults.support.send_driver import Audience

_PROCESSES = ("sms", "email", "work", "scheduler")
_RECIPIENTS = 12


@on_engines("sqlite")
def test_each_occasion_of_a_date_that_moves_reaches_each_person_once(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    clock, audience = environment.folder / "calendar", environment.sends.create_recipients(_RECIPIENTS)
    day = datetime.now(UTC).date() + timedelta(days=4)
    _give_date(environment, audience, day)
    options = ("--account-type", "Dated", "--attribute", "due_on", "--days", "3,2,1", "--time", "00:00")
    schedule = int(environment.run_portal_command("schedules", "create", "notice", *options, "--late-hours", "72"))
    _set_clock(clock, day - timedelta(days=3))
    _restart_with_clock(environment, clock)
    first = _wait_for_send(environment, schedule, 1)
    environment.progress.wait_until_settled(first)
    outcome = check_invariants(environment, first, audience.phone_numbers)
    _kill(environment, "scheduler")
    _move_date(environment, day + timedelta(1))
    _set_clock(clock, day)
    for _ in range(2):
        environment.start_process("scheduler", FAULTS_CLOCK=str(clock))
        environment.expire_scheduler_lease()
    last = _wait_for_send(environment, schedule, 2)
    _kill(environment, "scheduler")
    environment.start_process("scheduler", FAULTS_CLOCK=str(clock))
    environment.expire_scheduler_lease()
    environment.progress.wait_until_settled(last)
    _check_two_occasions(environment, audience, schedule, [first, last])
    report.add("23 dates of people", environment.engine, **outcome.figures())
    _leave(environment, schedule)


@on_engines("postgresql")
def test_each_occasion_reaches_each_person_once_on_the_clock_of_the_database(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    today, audience = datetime.now(UTC).date(), environment.sends.create_recipients(_RECIPIENTS)
    _kill(environment, "scheduler")
    _give_date(environment, audience, today + timedelta(days=3))
    options = ("--account-type", "Dated", "--attribute", "due_on", "--days", "3,2,1", "--time", "00:00")
    schedule = int(environment.run_portal_command("schedules", "create", "notice", *options, "--late-hours", "72"))
    environment.database.execute("UPDATE schedule SET active_from_ms = 0, checked_through_ms = 0")
    _check_with_two_schedulers(environment, schedule)
    first = _wait_for_send(environment, schedule, 1)
    environment.progress.wait_until_settled(first)
    outcome = check_invariants(environment, first, audience.phone_numbers)
    _kill(environment, "scheduler")
    _move_date(environment, today + timedelta(days=1))
    _check_with_two_schedulers(environment, schedule)
    last = _wait_for_send(environment, schedule, 2)
    _kill(environment, "scheduler")
    _check_with_two_schedulers(environment, schedule)
    environment.progress.wait_until_settled(last)
    _check_two_occasions(environment, audience, schedule, [first, last])
    report.add("23 dates of people", environment.engine, **outcome.figures())
    _leave(environment, schedule)


def _check_with_two_schedulers(environment: FaultEnvironment, schedule: int) -> None:
    """Like the dates, the next check moves, which comes within a minute."""
    environment.database.execute("UPDATE schedule SET next_check_at_ms = 1 WHERE id = :schedule", schedule=schedule)
    for _ in range(2):
        environment.start_process("scheduler")
        environment.expire_scheduler_lease()
    checked = "SELECT count(*) FROM schedule WHERE id = :schedule AND next_check_at_ms > 1"
    environment.wait(lambda: environment.database.value(checked, schedule=schedule), "the check of the schedule", 90)


def _check_two_occasions(environment: FaultEnvironment, audience: Audience, schedule: int, sends: list[int]) -> None:
    """Three days before and one day before, each once."""
    got = "SELECT offset_days, count(*) FROM schedule_recipient WHERE schedule_id = :schedule GROUP BY offset_days"
    assert sorted(map(tuple, environment.database.rows(got, schedule=schedule))) == [(1, _RECIPIENTS), (3, _RECIPIENTS)]
    assert _sent_runs(environment, schedule) == sends
    texts = Counter(text["to"] for text in environment.simulator.accepted_texts())
    assert [texts[number] for number in audience.phone_numbers] == [2] * _RECIPIENTS
    check_emails(environment, sends[-1])
    check_transitions(environment, sends[-1])


def _give_date(environment: FaultEnvironment, audience: Audience, day: date) -> None:
    """A type of their own, and a date."""
    ids = ", ".join(f"'{index}'" for index in audience.indexes)
    environment.database.execute(
        f"UPDATE account SET account_type = 'Dated' WHERE external_id IN ({ids})",
        "INSERT INTO attribute (id, key, label, kind, choices, created_at_ms) "
        "VALUES (1, 'due_on', 'Due on', 'date', '[]', 0)",
        "INSERT INTO attribute_value (account_id, attribute_id, value, comparable) "
        f"SELECT id, 1, '{day}', '{day}' FROM account WHERE account_type = 'Dated'",
    )


def _move_date(environment: FaultEnvironment, day: date) -> None:
    environment.database.execute("UPDATE attribute_value SET value = :day, comparable = :day", day=str(day))


def _set_clock(clock: Path, day: date) -> None:
    """A minute after midnight, UTC."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
    skewed_clock.set_clock_offset(clock, midnight + 60 - time.time())


def _restart_with_clock(environment: FaultEnvironment, clock: Path) -> None:
    for name in _PROCESSES:
        _kill(environment, name)
        environment.start_process(name, FAULTS_CLOCK=str(clock))
    environment.expire_scheduler_lease()


def _kill(environment: FaultEnvironment, name: str) -> None:
    environment.supervisor.stop_for_good(*environment.supervisor.with_name(name), signum=signal.SIGKILL)


def _wait_for_send(environment: FaultEnvironment, schedule: int, number: int) -> int:
    sends = environment.wait(
        lambda: runs if len(runs := _sent_runs(environment, schedule)) == number else [], f"run {number}", 90
    )
    return sends[-1]


def _sent_runs(environment: FaultEnvironment, schedule: int) -> list[int]:
    query = "SELECT send_id FROM schedule_run WHERE schedule_id = :schedule AND state = 'sent' ORDER BY id"
    return [int(send_id) for (send_id,) in environment.database.rows(query, schedule=schedule)]


def _leave(environment: FaultEnvironment, schedule: int) -> None:
    """As the next scenario finds it, on the true clock."""
    for name in _PROCESSES:
        _kill(environment, name)
    environment.database.execute(
        f"UPDATE schedule SET state = 'ended' WHERE id = {schedule}",
        *("DELETE FROM sync_cursor", "DELETE FROM heartbeat", "UPDATE lease SET expires_at_ms = 0"),
    )
    environment.valkey.run_redis_command("FLUSHALL")

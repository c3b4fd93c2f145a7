"""The night on which clocks go back, in all states: each text leaves at a permitted minute, and none is lost."""

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from portal.accounts.rules.area_codes import AREA_CODES_BY_STATE
from portal.accounts.rules.recipient_places import area_of, place_of
from tests.faults.support import skewed_clock
from tests.faults.support.fault_environment import FaultEnvironment
from tests.faults.test_clocks_and_schedulers import clear_stored_times, restart_with_clock
from tests.support.commands.fork_server_client import ForkServerClient

_CSV_HEADER = "external_id,name,email,account_type,role,timezone,phone,sms_opted_in_at,sms_consent_source"
_NEW_YORK = ZoneInfo("America/New_York")
_DEFAULTS = {"PORTAL_QUIET_HOURS": "", "PORTAL_FREQUENCY_CAP": ""}
_PHONES = [f"+1{codes.split()[0]}555{index:04d}" for index, codes in enumerate(AREA_CODES_BY_STATE.values(), 100)]
_NOTICES = 5


@pytest.fixture
def environment() -> Iterator[FaultEnvironment]:
    """Of its own: what is sent a year ahead would disturb the scenarios that follow."""
    with closing(ForkServerClient()) as forker, closing(FaultEnvironment("sqlite", forker, "7")) as environment:
        environment.restore_initial_state()
        yield environment


def test_texts_of_all_states_leave_by_day_around_a_change_of_clocks(environment: FaultEnvironment) -> None:
    sunday = _next_change_of_clocks()
    clock = environment.folder / f"night-{sunday:%m}"
    _set_clock(clock, sunday, 7, 10)
    restart_with_clock(environment, clock, **_DEFAULTS)
    clear_stored_times(environment)
    environment.add_template("alarm", "Alarm for {{ name }}", "Dear {{ name }}.", "--urgent")
    _import_people(environment)
    notices = [_create_send(environment, "notice") for _ in range(_NOTICES)]
    alarm = _create_send(environment, "alarm")
    environment.wait(lambda: _states(environment, alarm) == {"delivered": 51}, "the urgent texts, at night")
    environment.wait(lambda: all(_states(environment, send) == {"deferred": 51} for send in notices), "the fan-out")
    for hour in range(11, 19):
        at = _set_clock(clock, sunday, hour)
        environment.wait(partial(_nothing_due, environment, at), f"the texts of {hour}:00 UTC")
    environment.wait(partial(_nothing_due, environment, at + timedelta(days=1)), "the last texts")
    _check_times(environment, alarm)


def _set_clock(clock: Path, day: datetime, hour: int, minute: int = 0) -> datetime:
    """To the hour and minute in UTC. At 7:10 it is night in Hawaii too."""
    at = datetime(day.year, day.month, day.day, hour, minute, 5, tzinfo=UTC)
    skewed_clock.set_clock_offset(clock, at.timestamp() - time.time())
    return at


def _next_change_of_clocks() -> datetime:
    """Midnight in New York before clocks go back next."""
    day = datetime.now(_NEW_YORK).replace(hour=0, minute=0, second=0, microsecond=0)
    while day.month != 11 or day.utcoffset() == (day + timedelta(days=1)).utcoffset():
        day += timedelta(days=1)
    return day


def _import_people(environment: FaultEnvironment) -> None:
    rows = [
        f"S-{index},Person {index},s-{index}@example.org,State,user,UTC,{phone},2026-01-02,form"
        for index, phone in enumerate(_PHONES)
    ]
    file = environment.folder / "states.csv"
    file.write_text("\n".join([_CSV_HEADER, *rows]))
    environment.run_portal_command("accounts", "import", str(file))


def _create_send(environment: FaultEnvironment, template: str) -> int:
    return int(environment.run_portal_command("sends", "create", template, "--account-type", "State").splitlines()[-1])


def _states(environment: FaultEnvironment, send: int) -> dict[str, int]:
    return environment.progress.count_states(send)


def _nothing_due(environment: FaultEnvironment, at: datetime) -> bool:
    query = """SELECT count(*) FROM delivery WHERE channel = 'sms' AND due_at_ms <= :at
               AND state IN ('ready', 'deferred', 'sending', 'unknown', 'accepted', 'sent')"""
    return not environment.database.value(query, at=round(at.timestamp() * 1000))


def _check_times(environment: FaultEnvironment, alarm: int) -> None:
    """Three of the notices reach each phone by day, two stay in email and history; the urgent one came at night."""
    query = """SELECT d.address, d.send_id, a.slot_at_ms, d.state, d.body FROM delivery d
               JOIN attempt a ON a.id = d.attempt_id WHERE d.channel = 'sms'"""
    texts = environment.database.rows(query)
    assert len(texts) == 51 * 4
    for phone, send_id, slot_ms, state, _body in texts:
        place = place_of(area_of(phone), "UTC")
        local = [datetime.fromtimestamp(slot_ms / 1000, ZoneInfo(zone)) for zone in place.zones]
        is_day = all((12 if place.state == "TX" else 8) <= at.hour < 20 for at in local)
        assert state == "delivered"
        assert is_day == (send_id != alarm), (place, local)
    assert sum("2 more in your history" in body for *_text, body in texts) == 51
    skipped = "SELECT count(*) FROM delivery WHERE state = 'skipped' AND reason = 'frequency_cap'"
    assert environment.database.value(skipped) == 51 * 2
    emails = "SELECT count(*) FROM delivery WHERE channel = 'email' AND state = 'handed_off'"
    environment.wait(lambda: environment.database.value(emails) >= 51 * 6, "the emails")

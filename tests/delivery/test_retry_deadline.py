"""When a text is given up: after a day of being turned away, or of vanishing; not a moment sooner."""

from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import insert

from portal.core.extensions import db
from portal.delivery import reconciliation
from portal.messages.tables.communications import Attempt
from tests.support import scenario, servers

pytestmark = pytest.mark.usefixtures("app")

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@pytest.fixture(autouse=True)
def one_text(app: object) -> None:
    scenario.create_one_waiting_text()


def insert_attempts(outcome: str, times: int, first_ms: int, code: str = "20429") -> None:
    """So many attempts that ended so, one a minute from then on."""
    (text,) = scenario.deliveries("sms")
    rows = [
        {
            "id": f"{outcome}-{place}",
            "delivery_id": text.id,
            "destination": text.address,
            "started_at_ms": first_ms + place * 60_000,
            "slot_at_ms": first_ms + place * 60_000,
            "lease_until_ms": first_ms + place * 60_000,
            "outcome": outcome,
            "error_code": code,
        }
        for place in range(times)
    ]
    db.session.execute(insert(Attempt), rows)
    db.session.commit()


def fail_once_with_429(simulator: servers.SimulatorClient) -> str:
    """Once more; the state afterwards."""
    simulator.set_faults(rules=[{"kind": "429", "count": 1, "retry_after": 30}])
    scenario.run_sms_worker(until=scenario.attempts_recorded(1))
    return scenario.deliveries("sms")[0].state


def lose_once(simulator: servers.SimulatorClient, ahead_ms: int = 0) -> str:
    """Once more, without a trace in Twilio's list; the state afterwards."""
    simulator.set_faults(rules=[{"kind": "500_before", "count": 1}])
    scenario.run_sms_worker(ahead_ms, until=scenario.attempts_recorded(1))
    assert scenario.count_states("sms") == {"unknown": 1}
    reconciliation.reconcile_unknown_texts(lambda: scenario.now_ms() + ahead_ms + 60_000)
    return scenario.deliveries("sms")[0].state


def test_a_text_turned_away_for_a_day_is_given_up(simulator: servers.SimulatorClient) -> None:
    insert_attempts("not_sent", 300, scenario.now_ms() - DAY_MS - HOUR_MS)
    assert fail_once_with_429(simulator) == "expired"


def test_one_turned_away_for_less_than_a_day_is_tried_again(simulator: servers.SimulatorClient) -> None:
    insert_attempts("not_sent", 300, scenario.now_ms() - DAY_MS + HOUR_MS)
    assert fail_once_with_429(simulator) == "ready"


def test_days_without_a_way_to_twilio_cost_nobody_their_text(app: Flask, simulator: servers.SimulatorClient) -> None:
    insert_attempts("not_sent", 300, scenario.now_ms() - 3 * DAY_MS, code="")
    assert fail_once_with_429(simulator) == "ready", "turned away once"
    own = app.config["PORTAL"]
    app.config["PORTAL"] = replace(own, twilio_api_url=f"http://127.0.0.1:{servers.free_port()}")
    scenario.run_sms_worker(clock_ahead_ms=60_000, until=scenario.attempts_recorded(1))
    app.config["PORTAL"] = own
    assert scenario.count_states("sms") == {"ready": 1}


def test_a_text_that_cannot_be_handed_over_now_is_not_given_up_for_what_was_before(
    app: Flask, simulator: servers.SimulatorClient
) -> None:
    insert_attempts("not_sent", 300, scenario.now_ms() - 3 * DAY_MS)
    app.config["PORTAL"] = replace(app.config["PORTAL"], twilio_api_url=f"http://127.0.0.1:{servers.free_port()}")
    scenario.run_sms_worker(until=scenario.attempts_recorded(1))
    assert scenario.count_states("sms") == {"ready": 1}


@pytest.mark.one_engine
@pytest.mark.parametrize("outcome", ["account_fault", "released", "not_sent"])
def test_days_in_which_the_lane_stood_still_are_no_tries(simulator: servers.SimulatorClient, outcome: str) -> None:
    """Refused or turned away on Friday, resumed on Monday, and then Twilio is busy for a moment."""
    insert_attempts(outcome, 20, scenario.now_ms() - 3 * DAY_MS)
    assert fail_once_with_429(simulator) == "ready"


def test_what_twilio_turned_away_is_not_held_against_a_text_that_vanishes_once(
    simulator: servers.SimulatorClient,
) -> None:
    insert_attempts("not_sent", 20, scenario.now_ms() - HOUR_MS)
    assert lose_once(simulator) == "ready"


def test_a_text_that_vanishes_for_the_twentieth_time_and_for_a_day_is_given_up(
    simulator: servers.SimulatorClient,
) -> None:
    insert_attempts("not_found", 18, scenario.now_ms() - DAY_MS - HOUR_MS)
    assert lose_once(simulator) == "ready"
    assert lose_once(simulator, ahead_ms=HOUR_MS) == "expired"
    assert scenario.deliveries("sms")[0].reason == "It never arrived at Twilio"


def test_hours_in_which_twilio_takes_nothing_in_cost_nobody_their_text(simulator: servers.SimulatorClient) -> None:
    insert_attempts("not_found", 20, scenario.now_ms() - DAY_MS + HOUR_MS)
    assert lose_once(simulator) == "ready"
    scenario.run_sms_worker(clock_ahead_ms=HOUR_MS, until=scenario.attempts_recorded(1))
    assert scenario.count_states("sms") == {"accepted": 1}


@pytest.mark.one_engine
def test_a_text_that_vanished_often_lets_others_be_tried_first(simulator: servers.SimulatorClient) -> None:
    insert_attempts("not_found", 3, scenario.now_ms() - HOUR_MS)
    assert lose_once(simulator) == "ready"
    assert scenario.deliveries("sms")[0].due_at_ms > scenario.now_ms() + 5 * 60_000

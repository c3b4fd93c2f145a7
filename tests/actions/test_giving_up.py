"""When a text is given up: after a day of being turned away, or of vanishing; not a moment sooner."""

from dataclasses import replace

import parts
import pytest
import world
from flask import Flask
from sqlalchemy import insert

from portal.actions import reconcile
from portal.extensions import db
from portal.models.communication import Attempt

pytestmark = pytest.mark.usefixtures("app")

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@pytest.fixture(autouse=True)
def one_text(app: object) -> None:
    world.create_one_waiting_text()


def insert_attempts(outcome: str, times: int, first_ms: int, code: str = "20429") -> None:
    """So many attempts that ended so, one a minute from then on."""
    (text,) = world.deliveries("sms")
    rows = [
        {
            "id": f"{outcome}-{place}",
            "delivery_id": text.id,
            "sent_to": text.address,
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


def fail_once_with_429(simulator: parts.SimulatorClient) -> str:
    """Once more; the state afterwards."""
    simulator.set_faults(rules=[{"kind": "429", "count": 1, "retry_after": 30}])
    world.run_sms_worker(until=world.attempts_recorded(1))
    return world.deliveries("sms")[0].state


def lose_once(simulator: parts.SimulatorClient, ahead_ms: int = 0) -> str:
    """Once more, without a trace in Twilio's list; the state afterwards."""
    simulator.set_faults(rules=[{"kind": "500_before", "count": 1}])
    world.run_sms_worker(ahead_ms, until=world.attempts_recorded(1))
    assert world.count_states("sms") == {"unknown": 1}
    reconcile.reconcile_unknown_texts(lambda: world.now_ms() + ahead_ms + 60_000)
    return world.deliveries("sms")[0].state


def test_a_text_turned_away_for_a_day_is_given_up(simulator: parts.SimulatorClient) -> None:
    insert_attempts("not_sent", 300, world.now_ms() - DAY_MS - HOUR_MS)
    assert fail_once_with_429(simulator) == "expired"


def test_one_turned_away_for_less_than_a_day_is_tried_again(simulator: parts.SimulatorClient) -> None:
    insert_attempts("not_sent", 300, world.now_ms() - DAY_MS + HOUR_MS)
    assert fail_once_with_429(simulator) == "ready"


def test_days_without_a_way_to_twilio_cost_nobody_their_text(app: Flask, simulator: parts.SimulatorClient) -> None:
    insert_attempts("not_sent", 300, world.now_ms() - 3 * DAY_MS, code="")
    assert fail_once_with_429(simulator) == "ready", "turned away once"
    own = app.config["PORTAL"]
    app.config["PORTAL"] = replace(own, twilio_api_url=f"http://127.0.0.1:{parts.free_port()}")
    world.run_sms_worker(clock_ahead_ms=60_000, until=world.attempts_recorded(1))
    app.config["PORTAL"] = own
    assert world.count_states("sms") == {"ready": 1}


def test_a_text_that_cannot_be_handed_over_now_is_not_given_up_for_what_was_before(
    app: Flask, simulator: parts.SimulatorClient
) -> None:
    insert_attempts("not_sent", 300, world.now_ms() - 3 * DAY_MS)
    app.config["PORTAL"] = replace(app.config["PORTAL"], twilio_api_url=f"http://127.0.0.1:{parts.free_port()}")
    world.run_sms_worker(until=world.attempts_recorded(1))
    assert world.count_states("sms") == {"ready": 1}


@pytest.mark.one_engine
@pytest.mark.parametrize("outcome", ["account_fault", "released", "not_sent"])
def test_days_in_which_the_lane_stood_still_are_no_tries(simulator: parts.SimulatorClient, outcome: str) -> None:
    """Refused or turned away on Friday, resumed on Monday, and then Twilio is busy for a moment."""
    insert_attempts(outcome, 20, world.now_ms() - 3 * DAY_MS)
    assert fail_once_with_429(simulator) == "ready"


def test_what_twilio_turned_away_is_not_held_against_a_text_that_vanishes_once(
    simulator: parts.SimulatorClient,
) -> None:
    insert_attempts("not_sent", 20, world.now_ms() - HOUR_MS)
    assert lose_once(simulator) == "ready"


def test_a_text_that_vanishes_for_the_twentieth_time_and_for_a_day_is_given_up(
    simulator: parts.SimulatorClient,
) -> None:
    insert_attempts("not_found", 18, world.now_ms() - DAY_MS - HOUR_MS)
    assert lose_once(simulator) == "ready"
    assert lose_once(simulator, ahead_ms=HOUR_MS) == "expired"
    assert world.deliveries("sms")[0].reason == "It never arrived at Twilio"


def test_hours_in_which_twilio_takes_nothing_in_cost_nobody_their_text(simulator: parts.SimulatorClient) -> None:
    insert_attempts("not_found", 20, world.now_ms() - DAY_MS + HOUR_MS)
    assert lose_once(simulator) == "ready"
    world.run_sms_worker(clock_ahead_ms=HOUR_MS, until=world.attempts_recorded(1))
    assert world.count_states("sms") == {"accepted": 1}


@pytest.mark.one_engine
def test_a_text_that_vanished_often_lets_others_be_tried_first(simulator: parts.SimulatorClient) -> None:
    insert_attempts("not_found", 3, world.now_ms() - HOUR_MS)
    assert lose_once(simulator) == "ready"
    assert world.deliveries("sms")[0].due_at_ms > world.now_ms() + 5 * 60_000

"""When a text expires: after a day of being turned away, or of never arriving; not a moment sooner."""

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
    """This many attempts with this outcome, one a minute."""
    (text,) = scenario.deliveries("sms")
    rows = [
        {
            "id": f"{outcome}-{index}",
            "delivery_id": text.id,
            "destination": text.address,
            "started_at_ms": first_ms + index * 60_000,
            "slot_at_ms": first_ms + index * 60_000,
            "lease_until_ms": first_ms + index * 60_000,
            "outcome": outcome,
            "error_code": code,
        }
        for index in range(times)
    ]
    db.session.execute(insert(Attempt), rows)
    db.session.commit()


def fail_once_with_429(simulator: servers.SimulatorClient) -> str:
    """Fail one more attempt; return the state afterwards."""
    simulator.set_faults(rules=[{"kind": "429", "count": 1, "retry_after": 30}])
    scenario.run_sms_worker(until=scenario.attempts_recorded(1))
    return scenario.deliveries("sms")[0].state


def lose_once(simulator: servers.SimulatorClient, ahead_ms: int = 0) -> str:
    """Lose one more attempt without a trace in Twilio’s list; return the state afterwards."""
    simulator.set_faults(rules=[{"kind": "500_before", "count": 1}])
    scenario.run_sms_worker(ahead_ms, until=scenario.attempts_recorded(1))
    assert scenario.count_states("sms") == {"unknown": 1}
    reconciliation.reconcile_unknown_texts(lambda: scenario.now_ms() + ahead_ms + 60_000)
    return scenario.deliveries("sms")[0].state


def test_text_turned_away_for_a_day_expires(simulator: servers.SimulatorClient) -> None:
    insert_attempts("not_sent", 300, scenario.now_ms() - DAY_MS - HOUR_MS)
    assert fail_once_with_429(simulator) == "expired"


def test_text_turned_away_for_less_than_a_day_is_retried(simulator: servers.SimulatorClient) -> None:
    insert_attempts("not_sent", 300, scenario.now_ms() - DAY_MS + HOUR_MS)
    assert fail_once_with_429(simulator) == "ready"


def test_days_without_a_connection_expire_no_text(app: Flask, simulator: servers.SimulatorClient) -> None:
    insert_attempts("not_sent", 300, scenario.now_ms() - 3 * DAY_MS, code="")
    assert fail_once_with_429(simulator) == "ready", "turned away once"
    original = app.config["PORTAL"]
    app.config["PORTAL"] = replace(original, twilio_api_url=f"http://127.0.0.1:{servers.free_port()}")
    scenario.run_sms_worker(clock_ahead_ms=60_000, until=scenario.attempts_recorded(1))
    app.config["PORTAL"] = original
    assert scenario.count_states("sms") == {"ready": 1}


def test_connection_failure_does_not_expire_a_text(app: Flask, simulator: servers.SimulatorClient) -> None:
    insert_attempts("not_sent", 300, scenario.now_ms() - 3 * DAY_MS)
    app.config["PORTAL"] = replace(app.config["PORTAL"], twilio_api_url=f"http://127.0.0.1:{servers.free_port()}")
    scenario.run_sms_worker(until=scenario.attempts_recorded(1))
    assert scenario.count_states("sms") == {"ready": 1}


@pytest.mark.one_engine
@pytest.mark.parametrize("outcome", ["account_fault", "released", "not_sent"])
def test_days_with_a_paused_lane_do_not_count(simulator: servers.SimulatorClient, outcome: str) -> None:
    """Rejected on Friday, resumed on Monday, and then Twilio is busy for a moment."""
    insert_attempts(outcome, 20, scenario.now_ms() - 3 * DAY_MS)
    assert fail_once_with_429(simulator) == "ready"


def test_turned_away_attempts_do_not_count_as_missing(
    simulator: servers.SimulatorClient,
) -> None:
    insert_attempts("not_sent", 20, scenario.now_ms() - HOUR_MS)
    assert lose_once(simulator) == "ready"


def test_text_missing_twenty_times_over_a_day_expires(
    simulator: servers.SimulatorClient,
) -> None:
    insert_attempts("not_found", 18, scenario.now_ms() - DAY_MS - HOUR_MS)
    assert lose_once(simulator) == "ready"
    assert lose_once(simulator, ahead_ms=HOUR_MS) == "expired"
    assert scenario.deliveries("sms")[0].reason == "Twilio never received it"


def test_text_missing_for_less_than_a_day_is_retried(simulator: servers.SimulatorClient) -> None:
    insert_attempts("not_found", 20, scenario.now_ms() - DAY_MS + HOUR_MS)
    assert lose_once(simulator) == "ready"
    scenario.run_sms_worker(clock_ahead_ms=HOUR_MS, until=scenario.attempts_recorded(1))
    assert scenario.count_states("sms") == {"accepted": 1}


@pytest.mark.one_engine
def test_text_missing_often_waits_longer(simulator: servers.SimulatorClient) -> None:
    insert_attempts("not_found", 3, scenario.now_ms() - HOUR_MS)
    assert lose_once(simulator) == "ready"
    assert scenario.deliveries("sms")[0].due_at_ms > scenario.now_ms() + 5 * 60_000

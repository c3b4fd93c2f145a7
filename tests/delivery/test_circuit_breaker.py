"""A provider that answers nothing is left alone for a while, so that few texts come into doubt."""

import itertools
from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import select

from portal.core.extensions import db
from portal.delivery.rules.circuit_breaker import PROVIDER_FAILURE_THRESHOLD, count_unanswered_calls, outage_started_ms
from portal.messages.tables.communications import Attempt
from portal.sends import provider_availability
from portal.settings.tables.sending_numbers import SendingNumber
from tests.support import scenario, servers


def create_calls(simulator: servers.SimulatorClient) -> list[object]:
    """Every time that the simulator was asked to send."""
    return [call for call in simulator.get("/simulator/log")["log"] if call["kind"] == "create"]


pytestmark = pytest.mark.usefixtures("app")


def test_only_calls_in_a_row_count() -> None:
    assert count_unanswered_calls(0, [False, False, True, False]) == 1
    assert count_unanswered_calls(3, [False]) == 4
    assert count_unanswered_calls(7, []) == 7


def test_a_silent_provider_gets_few_texts_and_all_arrive_once_it_answers(simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway(rate=20)
    scenario.create_accounts(60, with_sms=60)
    scenario.add_template()
    scenario.create_expanded_send()
    simulator.set_faults(rules=[{"kind": "500_before", "call": "create"}], receipts={"final": "none"})
    scenario.run_sms_worker()
    asked = len(create_calls(simulator))
    assert PROVIDER_FAILURE_THRESHOLD <= asked < 40, "those in flight when it fell silent, and no more"
    scenario.run_sms_worker()
    assert len(create_calls(simulator)) == asked
    simulator.set_faults(receipts={"final": "none"})
    scenario.run_sms_worker(clock_ahead_ms=61_000)
    db.session.rollback()
    assert db.session.get_one(SendingNumber, servers.FROM_NUMBER).consecutive_failures == 0
    assert len(simulator.accepted_texts()) == 60 - asked, "those in doubt are settled by evidence, not by sending"


def test_a_provider_is_away_since_it_could_not_be_reached_or_was_silent_too_often() -> None:
    assert outage_started_ms(None, PROVIDER_FAILURE_THRESHOLD - 1, was_unreachable=False, now_ms=5) is None
    assert outage_started_ms(None, PROVIDER_FAILURE_THRESHOLD, was_unreachable=False, now_ms=5) == 5
    assert outage_started_ms(None, 0, was_unreachable=True, now_ms=5) == 5
    assert outage_started_ms(3, 0, was_unreachable=True, now_ms=5) == 3
    assert outage_started_ms(3, 0, was_unreachable=False, now_ms=5) == 3, "nobody was asked"


def test_a_provider_that_cannot_be_reached_is_told_and_nothing_is_in_doubt(
    app: Flask, simulator: servers.SimulatorClient
) -> None:
    scenario.create_one_waiting_text()
    own = app.config["PORTAL"]
    app.config["PORTAL"] = replace(own, twilio_api_url=f"http://127.0.0.1:{servers.free_port()}")
    scenario.run_sms_worker(until=scenario.attempts_recorded(1))
    assert scenario.count_states("sms") == {"ready": 1}
    assert provider_availability.is_provider_down([servers.FROM_NUMBER], scenario.now_ms() + 60_000)
    assert not provider_availability.is_provider_down([servers.FROM_NUMBER], scenario.now_ms()), (
        "it may be back in a moment"
    )
    assert not provider_availability.is_provider_down(["+12025550199"], scenario.now_ms() + 60_000), "no number in use"
    app.config["PORTAL"] = own
    scenario.run_sms_worker(clock_ahead_ms=60_000)
    assert scenario.count_states("sms") == {"accepted": 1}
    db.session.rollback()
    assert db.session.get_one(SendingNumber, servers.FROM_NUMBER).down_since_ms is None


def test_a_call_that_hangs_does_not_hold_up_the_others_when_a_run_has_had_its_time(
    app: Flask, simulator: servers.SimulatorClient
) -> None:
    patient = {"sms_timeout_seconds": 8.0, "sms_lease_seconds": 30.0, "sms_unknown_seconds": 40.0}
    app.config["PORTAL"] = replace(app.config["PORTAL"], **patient)
    scenario.configure_gateway(rate=10)
    scenario.create_accounts(30, with_sms=30)
    scenario.add_template()
    scenario.create_expanded_send()
    simulator.set_faults(rules=[{"kind": "timeout_after", "count": 1, "seconds": 6}], receipts={"final": "none"})
    scenario.run_sms_worker(seconds=1)
    slots = sorted(db.session.scalars(select(Attempt.slot_at_ms)))
    assert len(slots) > 20, "a run of a second alone has some fifteen"
    assert max(later - earlier for earlier, later in itertools.pairwise(slots)) < 3_000


def test_one_text_a_minute_is_tried_while_it_stays_silent(simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway(rate=20)
    scenario.create_accounts(60, with_sms=60)
    scenario.add_template()
    scenario.create_expanded_send()
    simulator.set_faults(rules=[{"kind": "500_before", "call": "create"}], receipts={"final": "none"})
    scenario.run_sms_worker()
    asked = len(create_calls(simulator))
    for minute in (1, 2, 3):
        scenario.run_sms_worker(clock_ahead_ms=minute * 61_000)
        assert len(create_calls(simulator)) == asked + minute

"""A provider that does not answer gets few texts, so that few outcomes are unknown."""

import itertools
from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import select

from portal.core.extensions import db
from portal.delivery.rules.circuit_breaker import SMS_BREAKER, Signal, outage_started_ms
from portal.messages.tables.communications import Attempt
from portal.sends import provider_availability
from portal.settings.tables.sending_numbers import SendingNumber
from tests.support import scenario, servers


def create_calls(simulator: servers.SimulatorClient) -> list[object]:
    """Return the requests to send that the simulator received."""
    return [call for call in simulator.get("/simulator/log")["log"] if call["kind"] == "create"]


pytestmark = pytest.mark.usefixtures("app")


def test_only_consecutive_failures_count() -> None:
    failing = Signal.FAILING
    assert SMS_BREAKER.count_failures(0, [failing, failing, Signal.WORKS, failing]) == 1
    assert SMS_BREAKER.count_failures(3, [failing]) == 4
    assert SMS_BREAKER.count_failures(7, [Signal.NONE]) == 7


def test_unresponsive_provider_gets_few_texts(simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway(rate=20)
    scenario.create_accounts(60, with_sms=60)
    scenario.add_template()
    scenario.create_expanded_send()
    simulator.set_faults(rules=[{"kind": "500_before", "call": "create"}], receipts={"final": "none"})
    scenario.run_sms_worker()
    call_count = len(create_calls(simulator))
    assert SMS_BREAKER.threshold <= call_count < 40, "only those in flight when it stopped answering"
    scenario.run_sms_worker()
    assert len(create_calls(simulator)) == call_count
    simulator.set_faults(receipts={"final": "none"})
    scenario.run_sms_worker(clock_ahead_ms=61_000)
    db.session.rollback()
    assert db.session.get_one(SendingNumber, servers.FROM_NUMBER).consecutive_failures == 0
    assert len(simulator.accepted_texts()) == 60 - call_count, (
        "unknown texts are resolved by evidence, not by resending"
    )


def test_outage_starts_at_first_failure_that_counts() -> None:
    assert outage_started_ms(None, SMS_BREAKER.threshold - 1, was_unreachable=False, now_ms=5) is None
    assert outage_started_ms(None, SMS_BREAKER.threshold, was_unreachable=False, now_ms=5) == 5
    assert outage_started_ms(None, 0, was_unreachable=True, now_ms=5) == 5
    assert outage_started_ms(3, 0, was_unreachable=True, now_ms=5) == 3
    assert outage_started_ms(3, 0, was_unreachable=False, now_ms=5) == 3, "no call was made"


def test_unreachable_provider_leaves_no_unknown_outcomes(app: Flask, simulator: servers.SimulatorClient) -> None:
    scenario.create_one_waiting_text()
    original = app.config["PORTAL"]
    app.config["PORTAL"] = replace(original, twilio_api_url=f"http://127.0.0.1:{servers.free_port()}")
    scenario.run_sms_worker(until=scenario.attempts_recorded(1))
    assert scenario.count_states("sms") == {"ready": 1}
    assert provider_availability.is_provider_down([servers.FROM_NUMBER], scenario.now_ms() + 60_000)
    assert not provider_availability.is_provider_down([servers.FROM_NUMBER], scenario.now_ms()), (
        "it may recover at once"
    )
    assert not provider_availability.is_provider_down(["+12025550199"], scenario.now_ms() + 60_000), (
        "a number not in use"
    )
    app.config["PORTAL"] = original
    scenario.run_sms_worker(clock_ahead_ms=60_000)
    assert scenario.count_states("sms") == {"accepted": 1}
    db.session.rollback()
    assert db.session.get_one(SendingNumber, servers.FROM_NUMBER).down_since_ms is None


@pytest.mark.one_engine
def test_hung_call_does_not_block_the_lane(app: Flask, simulator: servers.SimulatorClient) -> None:
    timeouts = {"sms_timeout_seconds": 8.0, "sms_lease_seconds": 30.0, "sms_unknown_seconds": 40.0}
    app.config["PORTAL"] = replace(app.config["PORTAL"], **timeouts)
    scenario.configure_gateway(rate=10)
    scenario.create_accounts(30, with_sms=30)
    scenario.add_template()
    scenario.create_expanded_send()
    simulator.set_faults(rules=[{"kind": "timeout_after", "count": 1, "seconds": 6}], receipts={"final": "none"})
    scenario.run_sms_worker(seconds=1)
    slots = sorted(db.session.scalars(select(Attempt.slot_at_ms)))
    assert len(slots) > 20, "a run of one second has about fifteen"
    assert max(later - earlier for earlier, later in itertools.pairwise(slots)) < 3_000


def test_one_text_a_minute_probes_an_unresponsive_provider(simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway(rate=20)
    scenario.create_accounts(60, with_sms=60)
    scenario.add_template()
    scenario.create_expanded_send()
    simulator.set_faults(rules=[{"kind": "500_before", "call": "create"}], receipts={"final": "none"})
    scenario.run_sms_worker()
    call_count = len(create_calls(simulator))
    for minute in (1, 2, 3):
        scenario.run_sms_worker(clock_ahead_ms=minute * 61_000)
        assert len(create_calls(simulator)) == call_count + minute

"""The type of a sending number is worked out from it on every path: pace, forecast, words, the doctor."""

import itertools
import json
from dataclasses import replace

import pytest
from flask import Flask

from portal.core.context import settings
from portal.delivery.sms_claim import record_and_claim
from portal.operations import diagnostics
from portal.sends.forecast import current_traffic
from portal.settings import app_settings
from tests.support import inbound_helpers, scenario, servers

PACES = {"+18225550100": 3, "+18885550100": 3, "54321": 100, "+12025550100": 1}


@pytest.mark.parametrize("number", PACES)
def test_texts_are_paced_and_foretold_by_the_type_of_the_number(app: Flask, number: str) -> None:
    scenario.configure_gateway(SmsGatewaySettings=json.dumps({"FromNumber": number}))
    scenario.create_accounts(4, with_sms=4)
    scenario.add_template()
    scenario.create_expanded_send()
    now_us = scenario.now_us() + 1_000_000
    slots = [
        one.slot_us
        for when in range(4)
        for one in record_and_claim([], 64, lambda at=when: now_us + at * 1_000_000).claimed
    ]
    apart = {later - earlier for earlier, later in itertools.pairwise(slots)}
    assert min(apart) >= 1_000_000 // PACES[number]
    if PACES[number] > 1:
        assert min(apart) == 1_000_000 // PACES[number] + (1_000_000 % PACES[number] > PACES[number] / 2)
    found = current_traffic(scenario.now_ms())
    assert found.gateway.sender is not None
    assert found.gateway.sender.segments_per_second == PACES[number]


@pytest.mark.one_engine
@pytest.mark.parametrize(("number", "answers"), [("+18445550100", {"STOP", "HELP"}), ("54321", set())])
def test_who_answers_a_word_follows_from_the_type_as_well(app: Flask, number: str, answers: set[str]) -> None:
    scenario.configure_gateway(SmsGatewaySettings=json.dumps({"FromNumber": number}))
    sender = app_settings.live_gateway().sender
    assert sender is not None
    assert sender.auto_replied_keywords == answers


@pytest.mark.one_engine
def test_yes_lifts_no_stop_at_a_toll_free_number_whose_type_is_not_set(app: Flask) -> None:
    scenario.configure_gateway(SmsGatewaySettings=json.dumps({"FromNumber": "+18225550100"}))
    at_ms = scenario.now_ms() - 600_000
    (account_id,) = inbound_helpers.create_sharing_accounts(scenario.phone_number(1), at_ms, "A")
    inbound_helpers.invite(account_id, scenario.phone_number(1), at_ms)
    inbound_helpers.receive_text("STOP", scenario.phone_number(1), at_ms + 200_000, To="+18225550100")
    inbound_helpers.receive_text("YES", scenario.phone_number(1), at_ms + 400_000, To="+18225550100")
    assert inbound_helpers.stored_consent_state(scenario.phone_number(1))[1], "it is stopped"


@pytest.mark.one_engine
def test_the_doctor_agrees_with_twilio_on_a_type_that_was_worked_out(app: Flask) -> None:
    with servers.running_simulator("--from-number", "+18225550100") as twilio:
        app.config["PORTAL"] = replace(settings(), twilio_api_url=twilio.url)
        scenario.configure_gateway(SmsGatewaySettings=json.dumps({"FromNumber": "+18225550100"}))
        lines = {check.name: check for check in diagnostics.run_diagnostics(scenario.now_ms).checks}
    assert lines["Number type"].reason == "Twilio says it is a toll-free number, as worked out from the number."
    assert lines["Rate"].verdict == "ok"

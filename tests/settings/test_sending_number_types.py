"""The type of a sending number sets its rate, auto-replied keywords and diagnostics."""

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

RATES = {"+18225550100": 3, "+18885550100": 3, "54321": 100, "+12025550100": 1}


def claim_slots(now_us: int) -> list[int]:
    return [claim.slot_us for claim in record_and_claim([], 64, lambda: now_us).claimed]


@pytest.mark.parametrize("number", RATES)
def test_rate_follows_the_number_type(app: Flask, number: str) -> None:
    scenario.configure_gateway(SmsGatewaySettings=json.dumps({"FromNumber": number}))
    scenario.create_accounts(4, with_sms=4)
    scenario.add_template()
    scenario.create_expanded_send()
    now_us = scenario.now_us() + 1_000_000
    slots = [slot_us for second in range(4) for slot_us in claim_slots(now_us + second * 1_000_000)]
    gaps = {later - earlier for earlier, later in itertools.pairwise(slots)}
    assert min(gaps) >= 1_000_000 // RATES[number]
    if RATES[number] > 1:
        assert min(gaps) == 1_000_000 // RATES[number] + (1_000_000 % RATES[number] > RATES[number] / 2)
    sender = current_traffic(scenario.now_ms()).gateway.sender
    assert sender is not None
    assert sender.segments_per_second == RATES[number]


@pytest.mark.one_engine
@pytest.mark.parametrize(("number", "keywords"), [("+18445550100", {"STOP", "HELP"}), ("54321", set())])
def test_auto_replied_keywords_follow_the_number_type(app: Flask, number: str, keywords: set[str]) -> None:
    scenario.configure_gateway(SmsGatewaySettings=json.dumps({"FromNumber": number}))
    sender = app_settings.live_gateway().sender
    assert sender is not None
    assert sender.auto_replied_keywords == keywords


@pytest.mark.one_engine
def test_yes_does_not_clear_stop_at_a_toll_free_number(app: Flask) -> None:
    scenario.configure_gateway(SmsGatewaySettings=json.dumps({"FromNumber": "+18225550100"}))
    at_ms = scenario.now_ms() - 600_000
    (account_id,) = inbound_helpers.create_sharing_accounts(scenario.phone_number(1), at_ms, "A")
    inbound_helpers.invite(account_id, scenario.phone_number(1), at_ms)
    inbound_helpers.receive_text("STOP", scenario.phone_number(1), at_ms + 200_000, To="+18225550100")
    inbound_helpers.receive_text("YES", scenario.phone_number(1), at_ms + 400_000, To="+18225550100")
    assert inbound_helpers.stored_consent_state(scenario.phone_number(1))[1], "it is stopped"


@pytest.mark.one_engine
def test_diagnostics_confirm_the_derived_number_type(app: Flask) -> None:
    with servers.running_simulator("--from-number", "+18225550100") as twilio:
        app.config["PORTAL"] = replace(settings(), twilio_api_url=twilio.url)
        scenario.configure_gateway(SmsGatewaySettings=json.dumps({"FromNumber": "+18225550100"}))
        checks = {check.name: check for check in diagnostics.run_diagnostics(scenario.now_ms).checks}
    assert checks["Number type"].reason == "Twilio says it is a toll-free number, as inferred from the number."
    assert checks["Rate"].verdict == "ok"

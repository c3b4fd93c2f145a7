"""Texts from handsets whose webhook was lost or late: they are found in Twilio's list and put in order."""

import json

import pytest

from portal.consent import manual_consent
from portal.core.actor import SHELL_ACTOR
from portal.gateways.provider import ProviderUnavailable
from tests.support import inbound_helpers, scenario, servers

pytestmark = pytest.mark.usefixtures("app")

NOW = scenario.now_ms()
MINUTE_MS = inbound_helpers.MINUTE_MS


@pytest.fixture(autouse=True)
def gateway(app: object) -> None:
    global NOW  # not the time of the import, which is minutes ago in a long run
    NOW = scenario.now_ms()
    scenario.configure_gateway()


def test_stop_during_an_outage_is_found(simulator: servers.SimulatorClient) -> None:
    scenario.create_accounts(1, with_sms=1)
    scenario.add_template()
    scenario.create_expanded_send()
    inbound_helpers.run_inbound_checks(NOW - 5 * MINUTE_MS)
    inbound_helpers.seed_provider_messages(simulator, [("STOP", NOW - 3 * MINUTE_MS)], scenario.phone_number(0))
    inbound_helpers.run_inbound_checks(NOW)
    assert inbound_helpers.stored_consent_state(scenario.phone_number(0)) == ("P-0", True, False)
    assert inbound_helpers.ledger_events(scenario.phone_number(0)) == [("opt_in", "import"), ("stop", "handset")]
    scenario.run_sms_worker()
    assert simulator.accepted_texts() == []


def test_missed_stop_by_another_channel_is_found(simulator: servers.SimulatorClient) -> None:
    scenario.create_accounts(1, with_sms=1)
    inbound_helpers.run_inbound_checks(NOW - 5 * MINUTE_MS)
    inbound_helpers.seed_provider_messages(
        simulator, [("STOP", NOW - 3 * MINUTE_MS)], f"rcs:{scenario.phone_number(0)}"
    )
    inbound_helpers.run_inbound_checks(NOW)
    assert inbound_helpers.stored_consent_state(scenario.phone_number(0)) == ("P-0", True, False)


def test_missed_stop_to_a_former_sending_number_is_found(simulator: servers.SimulatorClient) -> None:
    """Twilio does not block the new sending number, so only the portal knows of this STOP."""
    scenario.create_accounts(1, with_sms=1)
    scenario.add_template()
    scenario.create_expanded_send()
    scenario.run_sms_worker()
    scenario.configure_gateway(SmsGatewaySettings=json.dumps({"FromNumber": "+12025550101"}))
    inbound_helpers.run_inbound_checks(NOW - 5 * MINUTE_MS)
    inbound_helpers.seed_provider_messages(simulator, [("STOP", NOW - 3 * MINUTE_MS)], scenario.phone_number(0))
    inbound_helpers.run_inbound_checks(NOW)
    assert inbound_helpers.stored_consent_state(scenario.phone_number(0)) == ("P-0", True, False)


def test_missed_texts_are_ordered_among_received_ones(
    simulator: servers.SimulatorClient,
) -> None:
    phone_number = scenario.phone_number(0)
    inbound_helpers.create_sharing_accounts(phone_number, NOW - 60 * MINUTE_MS, "A")
    texts = [("START", NOW - 40 * MINUTE_MS), ("STOP", NOW - 30 * MINUTE_MS), ("START", NOW - 20 * MINUTE_MS)]
    first, stop, _last = inbound_helpers.seed_provider_messages(
        simulator, [*texts, ("HELP", NOW - 10 * MINUTE_MS)], phone_number
    )[:3]
    inbound_helpers.receive_text("START", phone_number, NOW - 40 * MINUTE_MS, first)
    inbound_helpers.receive_text("STOP", phone_number, NOW - 30 * MINUTE_MS, stop)
    assert inbound_helpers.stored_consent_state(phone_number)[1]
    inbound_helpers.run_inbound_checks(NOW)
    assert inbound_helpers.ledger_texts(phone_number) == [("START", 1), ("STOP", 1), ("START", 1), ("HELP", 1)]
    assert inbound_helpers.stored_consent_state(phone_number) == ("A", False, False)
    assert [reply.source for reply in inbound_helpers.ordered_inbound_messages(phone_number)] == [
        "webhook",
        "webhook",
        "list",
        "list",
    ]


def test_missed_start_does_not_override_a_newer_stop(simulator: servers.SimulatorClient) -> None:
    phone_number = scenario.phone_number(0)
    inbound_helpers.create_sharing_accounts(phone_number, NOW - 60 * MINUTE_MS, "A")
    inbound_helpers.seed_provider_messages(simulator, [("START", NOW - 30 * MINUTE_MS)], phone_number)
    inbound_helpers.receive_text("STOP", phone_number, NOW - 10 * MINUTE_MS)
    inbound_helpers.run_inbound_checks(NOW)
    assert inbound_helpers.stored_consent_state(phone_number) == ("A", True, False)
    assert inbound_helpers.texts_of_kind("welcome") == []


def test_missed_start_does_not_override_a_manual_stop(simulator: servers.SimulatorClient) -> None:
    phone_number = scenario.phone_number(0)
    inbound_helpers.create_sharing_accounts(phone_number, NOW - 60 * MINUTE_MS, "A")
    inbound_helpers.seed_provider_messages(simulator, [("START", NOW - 30 * MINUTE_MS)], phone_number)
    manual_consent.opt_out(phone_number, "phone", "rang us", SHELL_ACTOR, NOW - 10 * MINUTE_MS)
    inbound_helpers.run_inbound_checks(NOW)
    assert inbound_helpers.stored_consent_state(phone_number) == ("A", True, False)


def test_start_during_a_long_outage_is_welcomed_once(simulator: servers.SimulatorClient) -> None:
    phone_number, days_ms = scenario.phone_number(0), 3 * 86_400_000
    inbound_helpers.create_sharing_accounts(phone_number, NOW - 2 * days_ms, "A")
    inbound_helpers.run_inbound_checks(NOW - days_ms)
    inbound_helpers.seed_provider_messages(simulator, [("START", NOW - days_ms + 5 * MINUTE_MS)], phone_number)
    for minutes in (0, 2, 4):
        inbound_helpers.run_inbound_checks(NOW + minutes * MINUTE_MS)
    assert inbound_helpers.stored_consent_state(phone_number) == ("A", False, False)
    assert [(address, state) for address, state, _why in inbound_helpers.texts_of_kind("welcome")] == [
        (phone_number, "ready")
    ]


def test_fetched_text_with_a_late_webhook_counts_once(simulator: servers.SimulatorClient) -> None:
    phone_number = scenario.phone_number(0)
    inbound_helpers.create_sharing_accounts(phone_number, NOW - 60 * MINUTE_MS, "A")
    (start,) = inbound_helpers.seed_provider_messages(simulator, [("START", NOW - 5 * MINUTE_MS)], phone_number)
    inbound_helpers.run_inbound_checks(NOW)
    inbound_helpers.receive_text("STOP", phone_number, NOW - MINUTE_MS)
    inbound_helpers.receive_text("START", phone_number, NOW, start)
    assert inbound_helpers.ledger_kinds(phone_number) == ["start", "stop"]
    assert inbound_helpers.stored_consent_state(phone_number) == ("A", True, False)


def test_list_is_read_once_a_minute_from_the_cursor(
    simulator: servers.SimulatorClient,
) -> None:
    phone_number = scenario.phone_number(0)
    inbound_helpers.create_sharing_accounts(phone_number, NOW - 60 * MINUTE_MS, "A")
    inbound_helpers.seed_provider_messages(simulator, [("START", NOW - 5 * MINUTE_MS)], phone_number)
    for seconds in (0, 20, 40, 61, 80):
        inbound_helpers.run_inbound_checks(NOW + seconds * 1_000)
    calls = [call for call in simulator.get("/simulator/log")["log"] if call["kind"] == "list"]
    assert len(calls) == 2
    assert inbound_helpers.ledger_kinds(phone_number) == ["start"]


def test_interrupted_list_is_read_again(simulator: servers.SimulatorClient) -> None:
    phone_number = scenario.phone_number(0)
    inbound_helpers.create_sharing_accounts(phone_number, NOW - 60 * MINUTE_MS, "A")
    inbound_helpers.seed_provider_messages(simulator, [("STOP", NOW - 5 * MINUTE_MS)], phone_number)
    simulator.set_faults(rules=[{"kind": "500_before", "call": "list", "count": 1}])
    with pytest.raises(ProviderUnavailable):
        inbound_helpers.run_inbound_checks(NOW)
    assert inbound_helpers.ledger_kinds(phone_number) == []
    inbound_helpers.run_inbound_checks(NOW + 5_000)
    assert inbound_helpers.ledger_kinds(phone_number) == ["stop"]


def test_all_pages_of_the_list_are_read(simulator: servers.SimulatorClient) -> None:
    inbound_helpers.seed_provider_messages(simulator, [("STOP", NOW - 6 * MINUTE_MS)], scenario.phone_number(0))
    inbound_helpers.seed_provider_messages(
        simulator, [("who is this?", NOW - 5 * MINUTE_MS)] * 105, scenario.phone_number(1)
    )
    inbound_helpers.run_inbound_checks(NOW)
    assert inbound_helpers.ledger_kinds(scenario.phone_number(0)) == ["stop"]
    assert len(inbound_helpers.inbound_messages(scenario.phone_number(1))) == 105

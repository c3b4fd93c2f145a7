"""Several sending numbers: recipients are texted from the number they know, and every feature covers all numbers."""

import json
from collections import Counter
from dataclasses import replace

import pytest
from flask import Flask

from portal.accounts.tables.phone_numbers import preferred_sender_of
from portal.consent import inbound_processing, inbound_sync
from portal.consent.rules.consent_state import MessageSource
from portal.consent.tables.inbound_messages import InboundMessage
from portal.core.context import settings
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.rules.setting_error import SettingError
from portal.core.transaction import transaction
from portal.delivery.receipts import record_receipt
from portal.delivery.sms_claim import record_and_claim
from portal.operations import diagnostics
from portal.settings.live_gateway import sending_number_label
from portal.settings.setting_changes import set_setting
from portal.settings.tables.sending_numbers import paused_senders
from tests.support import inbound_helpers, scenario, servers
from tests.support.lane_driver import LaneDriver
from tests.support.multi_sender_scenario import (
    SENDING_NUMBERS,
    accepted_result,
    configure_three_numbers,
    last_sending_number_by_recipient,
    send_to_new_accounts,
    set_up_three_numbers,
)

pytestmark = pytest.mark.usefixtures("app")


@pytest.fixture(autouse=True)
def three_sending_numbers(app: Flask) -> None:
    set_up_three_numbers()


def test_texts_come_from_the_number_that_last_received_start() -> None:
    at_ms = scenario.now_ms() - 600_000
    (account_id,) = inbound_helpers.create_sharing_accounts(scenario.phone_number(1), at_ms, "A")
    inbound_helpers.invite(account_id, scenario.phone_number(1), at_ms)
    for index, sending_number in enumerate((SENDING_NUMBERS[2], SENDING_NUMBERS[1]), 1):
        inbound_helpers.receive_text("START", scenario.phone_number(1), at_ms + 1_000 * index, To=sending_number)
        assert preferred_sender_of(scenario.phone_number(1)) == sending_number
        assert sending_number_label(scenario.phone_number(1)).endswith(sending_number[-4:])
        scenario.create_expanded_send(audience={"external_ids": ["A"]})
        LaneDriver().run(lambda: not scenario.count_states("sms").get("ready"), max_seconds=30)
        assert last_sending_number_by_recipient()[scenario.phone_number(1)] == sending_number


def test_start_to_a_foreign_number_is_ignored() -> None:
    (account_id,) = inbound_helpers.create_sharing_accounts(scenario.phone_number(1), scenario.now_ms() - 1_000, "A")
    inbound_helpers.invite(account_id, scenario.phone_number(1), scenario.now_ms() - 900)
    inbound_helpers.receive_text("START", scenario.phone_number(1), scenario.now_ms(), To="+12025559999")
    assert preferred_sender_of(scenario.phone_number(1)) is None
    assert inbound_helpers.stored_consent_state(scenario.phone_number(1))[0] is None


def test_older_start_does_not_change_the_preferred_sender() -> None:
    at_ms = scenario.now_ms() - 600_000
    (account_id,) = inbound_helpers.create_sharing_accounts(scenario.phone_number(1), at_ms, "A")
    inbound_helpers.invite(account_id, scenario.phone_number(1), at_ms)
    inbound_helpers.receive_text("START", scenario.phone_number(1), at_ms + 300_000, To=SENDING_NUMBERS[1])
    earlier = InboundMessage(
        provider_id="SM" + "9" * 32,
        from_number=scenario.phone_number(1),
        to_number=SENDING_NUMBERS[2],
        body="START",
        raw={},
        source=MessageSource.LIST,
        order_at_ms=at_ms + 60_000,
    )
    with transaction():
        inbound_processing.store_inbound(earlier, scenario.now_ms())
    assert preferred_sender_of(scenario.phone_number(1)) == SENDING_NUMBERS[1]


def test_yes_to_a_toll_free_number_keeps_the_preferred_sender() -> None:
    toll_free = ["+18335550100", "+18335550101"]
    sender = {"FromNumber": toll_free[0], "MoreNumbers": toll_free[1:]}
    scenario.configure_gateway(SmsGatewaySettings=json.dumps(sender))
    at_ms = scenario.now_ms() - 600_000
    (account_id,) = inbound_helpers.create_sharing_accounts(scenario.phone_number(1), at_ms, "A")
    inbound_helpers.invite(account_id, scenario.phone_number(1), at_ms)
    inbound_helpers.receive_text("STOP", scenario.phone_number(1), at_ms + 1_000, To=toll_free[0])
    inbound_helpers.receive_text("START", scenario.phone_number(1), at_ms + 200_000, To=toll_free[1])
    inbound_helpers.receive_text("YES", scenario.phone_number(1), at_ms + 400_000, To=toll_free[0])
    assert preferred_sender_of(scenario.phone_number(1)) == toll_free[1]


@pytest.mark.parametrize(("code", "paused"), [("30002", SENDING_NUMBERS), ("30034", SENDING_NUMBERS[:1])])
def test_account_fault_receipt_pauses_affected_numbers(code: str, paused: list[str]) -> None:
    send_to_new_accounts(9)
    now_us = scenario.now_us() + 1_000_000
    claimed = next(
        text
        for text in record_and_claim([], 64, lambda: now_us).claimed
        if text.sender.sender_key == SENDING_NUMBERS[0]
    )
    record_and_claim([accepted_result(claimed)], 0, lambda: now_us)
    form = {"MessageSid": f"SM{claimed.attempt.id}", "MessageStatus": "failed", "ErrorCode": code}
    record_receipt(form, claimed.attempt.id, now_us // 1000)
    db.session.rollback()
    assert [row.number for row in paused_senders()] == paused


def test_every_sending_number_sends_and_receives(app: Flask) -> None:
    options = [argument for number in SENDING_NUMBERS for argument in ("--from-number", number)]
    with servers.running_simulator("--latency-ms", "5", *options) as twilio:
        twilio.set_faults(receipts={"final": "none"})
        app.config["PORTAL"] = replace(settings(), twilio_api_url=twilio.url)
        configure_three_numbers(rate=100)
        scenario.create_accounts(30, with_sms=30)
        scenario.create_expanded_send()
        scenario.run_sms_worker()
        assert Counter(text["from"] for text in twilio.accepted_texts()) == Counter(
            last_sending_number_by_recipient().values()
        )
        assert len({text["from"] for text in twilio.accepted_texts()}) == 3
        stop = {
            "from": scenario.phone_number(3),
            "to": SENDING_NUMBERS[2],
            "body": "STOP",
            "direction": "inbound",
            "at_ms": scenario.now_ms(),
        }
        twilio.call_api("POST", "/simulator/seed", {"messages": [stop]})
        inbound_sync.fetch_missed_inbound(scenario.now_ms)
        assert inbound_helpers.stored_consent_state(scenario.phone_number(3))[1]


def test_diagnostics_cover_every_sending_number(app: Flask) -> None:
    with servers.running_simulator("--from-number", SENDING_NUMBERS[0], "--from-number", SENDING_NUMBERS[1]) as twilio:
        app.config["PORTAL"] = replace(settings(), twilio_api_url=twilio.url)
        check = {check.name: check for check in diagnostics.run_diagnostics(scenario.now_ms).checks}["Sending number"]
        assert (check.verdict, check.reason) == ("failing", "The account does not own +1 ••• 0102.")
        with pytest.raises(ActionRefused, match=r"set for 2 of 3 numbers\. \+1 ••• 0102"):
            diagnostics.set_webhooks()
        scenario.configure_gateway(
            SmsGatewaySettings=json.dumps({"FromNumber": SENDING_NUMBERS[0], "MoreNumbers": SENDING_NUMBERS[1:2]})
        )
        assert diagnostics.set_webhooks() == "Both addresses are set at Twilio."
        checks = {check.name: check for check in diagnostics.run_diagnostics(scenario.now_ms).checks}
        assert checks["Inbound address"].reason == "Texts from phones come to the portal."
        assert checks["Sending number"].reason.count("which can send texts") == 2


def test_sending_number_settings_are_validated() -> None:
    with pytest.raises(SettingError, match="must differ from the numbers of SmsGatewaySettings"):
        set_setting("SmsOverrideNumber", SENDING_NUMBERS[2], None, scenario.now_ms())
    set_setting("SmsOverrideNumber", "+12025550188", None, scenario.now_ms())
    override_among_them = json.dumps({"FromNumber": SENDING_NUMBERS[0], "MoreNumbers": ["+12025550188"]})
    with pytest.raises(SettingError, match='"MoreNumbers" must differ from SmsOverrideNumber') as refused:
        set_setting("SmsGatewaySettings", override_among_them, None, scenario.now_ms())
    assert list(refused.value.errors_by_key) == ["MoreNumbers"]
    several = json.dumps({"FromNumber": "+15005550006", "MoreNumbers": [SENDING_NUMBERS[1]]})
    with pytest.raises(SettingError, match="In test mode, texts come from one number"):
        set_setting("TestSmsGatewaySettings", several, None, scenario.now_ms())

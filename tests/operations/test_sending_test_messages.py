"""Test texts: their steps in every mode, and what blocks them."""

import json

import pytest

from portal.accounts.account_management import NewAccount, create_account
from portal.consent.recording import record
from portal.consent.rules.consent_state import EventKind
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.gateways.rules.provider_codes import explain_error_code
from portal.gateways.rules.twilio_magic_numbers import RECIPIENT_NUMBERS
from portal.messages.tables.communications import Communication
from portal.operations import test_messages
from portal.operations.test_messages import MessageStep
from portal.settings import setting_changes
from portal.settings.tables.sending_numbers import paused_senders
from tests.support import scenario, servers
from tests.support.magic_senders import MAGIC_SENDER_CODES

pytestmark = [pytest.mark.usefixtures("app"), pytest.mark.one_engine]
NUMBER = "+14155550123"


@pytest.fixture
def sysadmin(app: object, simulator: servers.SimulatorClient) -> int:
    scenario.configure_gateway(rate=5)  # even a busy machine sends in time at this rate
    new = NewAccount("S-1", "Sasha", "s@example.org", "Staff", "sysadmin", "UTC")
    return create_account(new, scenario.now_ms())


def switch(name: str, value: str) -> None:
    setting_changes.set_setting(name, value, None, scenario.now_ms())


def send_and_get_steps(actor: int, number: str = NUMBER, body: str = "Is it there?") -> dict[str, MessageStep]:
    """The steps of one test text after it was tried once."""
    communication_id = test_messages.send_test_text(number, body, actor, scenario.now_ms())
    scenario.run_sms_worker(until=scenario.attempts_recorded(1))
    return steps_of(communication_id)


def steps_of(communication_id: int) -> dict[str, MessageStep]:
    db.session.rollback()
    return {
        step.name: step for step in test_messages.delivery_steps(db.session.get_one(Communication, communication_id))
    }


def test_only_test_texts_leave_while_texts_are_off(sysadmin: int, simulator: servers.SimulatorClient) -> None:
    scenario.create_accounts(3, with_sms=3)
    scenario.add_template()
    scenario.create_expanded_send()
    switch("EnableSmsNotifications", "false")
    steps = send_and_get_steps(sysadmin)
    assert [steps[name].verdict for name in ("Settings valid", "Credentials accepted", "Message accepted")] == [
        "ok"
    ] * 3
    assert [text["to"] for text in simulator.accepted_texts()] == [NUMBER]


def test_test_text_is_sent_with_plain_look_alikes(sysadmin: int, simulator: servers.SimulatorClient) -> None:
    send_and_get_steps(sysadmin, body="It’s\u200b “there” –\r\nnow… 🎉")
    assert simulator.accepted_texts()[0]["body"] == 'Notification portal: It\'s "there" -\nnow... 🎉'


@pytest.mark.parametrize("number", RECIPIENT_NUMBERS)
def test_each_magic_number_explains_its_error(number: str, sysadmin: int, simulator: servers.SimulatorClient) -> None:
    switch("EnableSmsTestMode", "true")
    steps = send_and_get_steps(sysadmin, number)
    code = RECIPIENT_NUMBERS[number].partition("code ")[2].rstrip(")")
    accepted = steps["Message accepted"]
    if not code:
        assert accepted.verdict == "ok"
        assert "Simulated" in accepted.message
    else:
        assert accepted.verdict == "failing"
        assert f"(code {code})" in accepted.message
    assert steps["First receipt"].verdict == "skipped"
    assert {call["account_sid"] for call in simulator.get("/simulator/log")["log"]} == {
        servers.TEST_CREDENTIALS["AccountSid"]
    }


@pytest.mark.parametrize("number", MAGIC_SENDER_CODES)
def test_each_magic_sending_number_explains_its_error(
    number: str, sysadmin: int, simulator: servers.SimulatorClient
) -> None:
    switch("TestSmsGatewaySettings", json.dumps({"FromNumber": number, "SegmentsPerSecond": 5}))
    switch("EnableSmsTestMode", "true")
    steps = send_and_get_steps(sysadmin)
    code = MAGIC_SENDER_CODES[number]
    assert steps["Credentials accepted"] == MessageStep("Credentials accepted", "ok", "")
    message = steps["Message accepted"]
    assert message.verdict == ("failing" if code else "ok")
    assert "Simulated: no real text was sent." in message.message
    if code:
        assert message.message.startswith(f"{explain_error_code(code).sentence} (code {code})")
        assert "tried again" not in message.message
    assert {steps[name].verdict for name in ("First receipt", "Final receipt")} == {"skipped"}
    assert paused_senders() == [], "a simulated error pauses nothing"


@pytest.mark.parametrize("number", [number for number, code in MAGIC_SENDER_CODES.items() if code])
def test_simulated_error_is_final_and_never_sent_for_real(
    number: str, sysadmin: int, simulator: servers.SimulatorClient
) -> None:
    scenario.create_accounts(1, with_sms=1)
    scenario.add_template()
    scenario.create_expanded_send()
    switch("TestSmsGatewaySettings", json.dumps({"FromNumber": number, "SegmentsPerSecond": 5}))
    switch("EnableSmsTestMode", "true")
    scenario.run_sms_worker()
    send_and_get_steps(sysadmin)
    code = MAGIC_SENDER_CODES[number]
    outcomes = [(row.state, row.error_code) for row in scenario.deliveries("sms") if row.address]
    assert outcomes == [("simulated_rejected", code)] * 2
    switch("EnableSmsTestMode", "false")
    scenario.run_sms_worker(clock_ahead_ms=120_000)
    assert simulator.accepted_texts() == []


def test_rate_limited_test_text_is_retried(sysadmin: int, simulator: servers.SimulatorClient) -> None:
    simulator.set_faults(rules=[{"kind": "429"}])
    switch("EnableSmsTestMode", "true")
    communication_id = test_messages.send_test_text(NUMBER, "Is it there?", sysadmin, scenario.now_ms())
    scenario.run_sms_worker(until=scenario.attempts_recorded(1))
    assert steps_of(communication_id)["Message accepted"].verdict == "waiting"
    simulator.set_faults()
    scenario.run_sms_worker(clock_ahead_ms=60_000)
    assert steps_of(communication_id)["Message accepted"].verdict == "ok"


@pytest.mark.parametrize(("requested", "changed"), [("true", "false"), ("false", "true")])
def test_change_of_test_mode_cancels_a_waiting_test_text(
    requested: str, changed: str, sysadmin: int, simulator: servers.SimulatorClient
) -> None:
    switch("EnableSmsTestMode", requested)
    communication_id = test_messages.send_test_text(NUMBER, "Is it there?", sysadmin, scenario.now_ms())
    switch("EnableSmsTestMode", changed)
    scenario.run_sms_worker()
    step = steps_of(communication_id)["Message accepted"]
    assert (step.verdict, "Test mode changed" in step.message) == ("failing", True)
    assert simulator.accepted_texts() == []


def test_change_of_test_mode_cancels_it_with_texts_off(sysadmin: int, simulator: servers.SimulatorClient) -> None:
    switch("EnableSmsNotifications", "false")
    switch("EnableSmsTestMode", "true")
    test_messages.send_test_text(NUMBER, "Is it there?", sysadmin, scenario.now_ms())
    switch("EnableSmsTestMode", "false")
    scenario.run_sms_worker()
    assert scenario.count_states("sms") == {"skipped": 1}
    assert simulator.accepted_texts() == []


def test_full_queue_at_twilio_is_retried(sysadmin: int, simulator: servers.SimulatorClient) -> None:
    simulator.set_faults(rules=[{"kind": "reject", "code": 21611}])
    steps = send_and_get_steps(sysadmin)
    assert steps["Credentials accepted"].verdict == "ok"
    explanation = f"{explain_error_code('21611').sentence} It is retried automatically. (code 21611)"
    assert steps["Message accepted"] == MessageStep("Message accepted", "waiting", explanation)


def test_last_number_is_remembered_for_each_account(sysadmin: int) -> None:
    other = create_account(NewAccount("S-2", "Sven", "sven@example.org", "Staff", "sysadmin", "UTC"), scenario.now_ms())
    assert test_messages.last_number(sysadmin) == ""
    test_messages.send_test_text(NUMBER, "Is it there?", sysadmin, scenario.now_ms())
    test_messages.send_test_text("+14155550124", "Is it there?", sysadmin, scenario.now_ms())
    assert (test_messages.last_number(sysadmin), test_messages.last_number(other)) == ("+14155550124", "")


def test_wrong_token_pauses_the_number_but_not_test_texts(sysadmin: int, simulator: servers.SimulatorClient) -> None:
    switch("SmsGatewayAuthentication", json.dumps({**servers.LIVE_CREDENTIALS, "AuthToken": "wrong"}))
    steps = send_and_get_steps(sysadmin)
    assert steps["Credentials accepted"].verdict == "failing"
    assert "20003" in steps["Credentials accepted"].message
    assert len(paused_senders()) == 1
    assert send_and_get_steps(sysadmin)["Credentials accepted"].verdict == "failing"
    assert simulator.accepted_texts() == []


def test_override_number_gets_the_test_text(sysadmin: int, simulator: servers.SimulatorClient) -> None:
    switch("SmsOverrideNumber", "+14155550199")
    switch("EnableSmsOverrideNumber", "true")
    assert "+1 ••• 0199" in send_and_get_steps(sysadmin)["Credentials accepted"].message
    assert [text["to"] for text in simulator.accepted_texts()] == ["+14155550199"]


def test_stopped_override_number_fails_the_test_text(sysadmin: int, simulator: servers.SimulatorClient) -> None:
    switch("SmsOverrideNumber", "+14155550199")
    switch("EnableSmsOverrideNumber", "true")
    communication_id = test_messages.send_test_text(NUMBER, "Is it there?", sysadmin, scenario.now_ms())
    with transaction():
        record("+14155550199", EventKind.STOP, "handset", scenario.now_ms(), scenario.now_ms())
    scenario.run_sms_worker()
    step = steps_of(communication_id)["Message accepted"]
    assert (step.verdict, "+1 ••• 0199 is opted out" in step.message) == ("failing", True)
    with pytest.raises(ActionRefused, match="Text START from that phone, or choose another"):
        test_messages.send_test_text(NUMBER, "Is it there?", sysadmin, scenario.now_ms())
    assert simulator.accepted_texts() == []


def test_trace_has_the_response_but_no_secrets(sysadmin: int, simulator: servers.SimulatorClient) -> None:
    communication_id = test_messages.send_test_text(NUMBER, "Is it there?", sysadmin, scenario.now_ms())
    scenario.run_sms_worker()
    communication = db.session.get_one(Communication, communication_id)
    request, response = test_messages.api_traces(communication)[-1]
    assert '"status": "queued"' in response
    assert NUMBER not in request + response
    assert servers.LIVE_CREDENTIALS["AuthToken"] not in request + response


def test_stopped_number_gets_no_test_text(sysadmin: int, simulator: servers.SimulatorClient) -> None:
    communication_id = test_messages.send_test_text(NUMBER, "Is it there?", sysadmin, scenario.now_ms())
    with transaction():
        record(NUMBER, EventKind.STOP, "handset", scenario.now_ms(), scenario.now_ms())
    scenario.run_sms_worker()
    assert steps_of(communication_id)["Message accepted"].verdict == "failing"
    with pytest.raises(InvalidInput, match="is opted out"):
        test_messages.send_test_text(NUMBER, "Is it there?", sysadmin, scenario.now_ms())
    assert simulator.accepted_texts() == []


@pytest.mark.parametrize(("number", "body"), [("123", "x"), (NUMBER, ""), (NUMBER, "x" * 1_601), ("\x00", "\x00")])
def test_invalid_input_is_rejected(number: str, body: str, sysadmin: int) -> None:
    with pytest.raises(InvalidInput):
        test_messages.send_test_text(number, body, sysadmin, scenario.now_ms())


def test_test_text_is_refused_without_a_gateway(app: object) -> None:
    with pytest.raises(ActionRefused, match="not set up"):
        test_messages.send_test_text(NUMBER, "Is it there?", 1, scenario.now_ms())


def test_number_of_others_cannot_be_the_sending_number(sysadmin: int) -> None:
    with pytest.raises(InvalidInput, match="no longer sends texts"):
        test_messages.send_test_text(NUMBER, "Is it there?", sysadmin, scenario.now_ms(), "+12025550199")

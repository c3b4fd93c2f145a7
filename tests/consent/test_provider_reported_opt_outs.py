"""Opt-outs and unreachable numbers that Twilio reports by error codes."""

import pytest
from sqlalchemy import select

from portal.accounts.tables.phone_numbers import PhoneState
from portal.consent import account_phones, manual_consent
from portal.consent.tables.ledger import ConsentEvent
from portal.core.actor import SHELL_ACTOR
from portal.core.extensions import db
from portal.delivery.receipts import record_receipt
from portal.messages import timeline
from portal.messages.tables.communications import Attempt, Delivery
from tests.support import inbound_helpers, scenario, servers

pytestmark = pytest.mark.usefixtures("app")

NUMBER = scenario.phone_number(0)
OVERRIDE = "+14152009999"
DEAD_AT_CREATE, DEAD_BY_RECEIPT = ("21211", "21614"), ("30005", "30006")


@pytest.fixture(autouse=True)
def one_person(app: object) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(1, with_sms=1)
    scenario.add_template()


def reject_next_text(simulator: servers.SimulatorClient, code: str) -> None:
    """Reject the create call of the next text."""
    simulator.set_faults(receipts={"final": "none"}, rules=[{"kind": "reject", "code": int(code), "count": 1}])


def send_one() -> int:
    """Send one more text and return its delivery id."""
    scenario.create_expanded_send()
    scenario.run_sms_worker()
    return scenario.deliveries("sms")[-1].id


def text(delivery_id: int) -> Delivery:
    db.session.remove()
    return db.session.get_one(Delivery, delivery_id)


def receipt(delivery_id: int, status: str, code: str) -> None:
    row = text(delivery_id)
    form = {"MessageSid": str(row.provider_id), "MessageStatus": status, "ErrorCode": code}
    record_receipt(form, str(row.attempt_id), scenario.now_ms())
    db.session.remove()


def latest_state_text() -> str:
    """What the history says about the newest text."""
    return " ".join(str(part) for part in timeline.describe_state(scenario.deliveries("sms")[-1]))


def events(kind: str) -> list[ConsentEvent]:
    db.session.remove()
    return list(db.session.scalars(select(ConsentEvent).where(ConsentEvent.kind == kind).order_by(ConsentEvent.id)))


def test_refusal_with_21610_records_a_stop(simulator: servers.SimulatorClient) -> None:
    reject_next_text(simulator, "21610")
    delivery_id = send_one()
    assert text(delivery_id).state == "opted_out"
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-0", True, False)
    (stop,) = events("stop")
    assert (stop.source, stop.detail) == ("twilio", {"error_code": "21610", "delivery_id": delivery_id})
    assert "The person replied STOP." in latest_state_text()
    send_one()
    assert "is opted out" in latest_state_text(), "and so do those that were not sent at all"
    assert len(events("stop")) == 1


def test_repeated_21610_receipts_record_one_stop(
    simulator: servers.SimulatorClient,
) -> None:
    delivery_id = send_one()
    for status in ("failed", "failed", "undelivered"):
        receipt(delivery_id, status, "21610")
    assert inbound_helpers.ledger_events(NUMBER) == [("opt_in", "import"), ("stop", "twilio")]
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-0", True, False)
    assert "The person replied STOP." in latest_state_text()


def test_concurrent_21610_refusals_record_one_stop(simulator: servers.SimulatorClient) -> None:
    simulator.set_faults(receipts={"final": "none"}, rules=[{"kind": "reject", "code": 21610}])
    for _ in range(5):
        scenario.create_expanded_send()
    scenario.run_sms_worker()
    assert len(events("stop")) == 1


def test_start_after_the_refused_text_stands(simulator: servers.SimulatorClient) -> None:
    delivery_id = send_one()
    inbound_helpers.receive_text("START", NUMBER, scenario.now_ms() + 1_000)
    receipt(delivery_id, "failed", "21610")
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-0", False, False)
    assert [stop.occurred_at_ms for stop in events("stop")] == [started_ms(delivery_id)]


def started_ms(delivery_id: int) -> int:
    return db.session.get_one(Attempt, text(delivery_id).attempt_id).started_at_ms


def test_unreachable_number_is_recorded_from_any_report(simulator: servers.SimulatorClient) -> None:
    for code in DEAD_AT_CREATE:
        reject_next_text(simulator, code)
        send_one()
        assert_unreachable_then_confirm(code)
    for code in DEAD_BY_RECEIPT:
        delivery_id = send_one()
        for _ in range(3):
            receipt(delivery_id, "undelivered", code)
        assert_unreachable_then_confirm(code)
    assert inbound_helpers.ledger_kinds(NUMBER) == ["opt_in", *["unreachable", "confirmed"] * 4]


def assert_unreachable_then_confirm(code: str) -> None:
    db.session.remove()
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-0", False, True)
    assert db.session.get_one(PhoneState, NUMBER).unreachable_code == code
    event = events("unreachable")[-1]
    assert (event.source, event.detail["error_code"]) == ("twilio", code)
    account_phones.confirm_number(
        inbound_helpers.phone_id(1, NUMBER), 1, inbound_helpers.make_actor(1), scenario.now_ms()
    )


def test_owner_of_an_unreachable_number_is_asked_by_email(
    simulator: servers.SimulatorClient,
) -> None:
    receipt(send_one(), "undelivered", "30005")
    send_one()
    assert (scenario.deliveries("sms")[-1].state, scenario.deliveries("sms")[-1].reason) == ("skipped", "unreachable")
    scenario.run_email_worker()
    asked = [mail for mail in simulator.received_emails() if "Please check your phone number" in mail["subject"]]
    assert [mail["to"] for mail in asked] == [["p0@example.org"]]
    assert "/MyAccount/PhoneNumbers" in asked[0]["text"]


def test_confirmed_number_is_texted_again(simulator: servers.SimulatorClient) -> None:
    receipt(send_one(), "undelivered", "30005")
    account_phones.confirm_number(
        inbound_helpers.phone_id(1, NUMBER), 1, inbound_helpers.make_actor(1), scenario.now_ms() + 1_000
    )
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-0", False, False)
    assert text(send_one()).state == "accepted"


def test_start_makes_the_number_reachable_again(simulator: servers.SimulatorClient) -> None:
    receipt(send_one(), "undelivered", "30005")
    inbound_helpers.receive_text("START", NUMBER, scenario.now_ms() + 1_000)
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-0", False, False)


def test_receipt_of_an_older_text_asks_nobody_again(simulator: servers.SimulatorClient) -> None:
    first, second = send_one(), send_one()
    receipt(first, "undelivered", "30005")
    account_phones.confirm_number(
        inbound_helpers.phone_id(1, NUMBER), 1, inbound_helpers.make_actor(1), scenario.now_ms() + 1_000
    )
    receipt(second, "undelivered", "30005")
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-0", False, False)
    assert inbound_helpers.notified_accounts("number_check") == ["P-0"]


def test_account_without_the_number_is_not_asked(simulator: servers.SimulatorClient) -> None:
    delivery_id = send_one()
    (other,) = inbound_helpers.create_sharing_accounts(NUMBER, scenario.now_ms(), "B")
    manual_consent.move_texts(NUMBER, other, SHELL_ACTOR, scenario.now_ms())
    account_phones.remove_number(
        inbound_helpers.phone_id(1, NUMBER), 1, inbound_helpers.make_actor(1), scenario.now_ms()
    )
    receipt(delivery_id, "undelivered", "30005")
    assert inbound_helpers.stored_consent_state(NUMBER) == ("B", False, True)
    assert inbound_helpers.notified_accounts("number_check") == ["B"]


def test_other_error_codes_leave_the_number_reachable(simulator: servers.SimulatorClient) -> None:
    for code in ("30003", "30007", "30008", "21612"):
        receipt(send_one(), "undelivered", code)
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-0", False, False)
    assert inbound_helpers.ledger_kinds(NUMBER) == ["opt_in"]


def test_test_mode_reports_change_no_consent(simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway(EnableSmsTestMode="true")
    for code in ("21610", *DEAD_AT_CREATE):
        reject_next_text(simulator, code)
        assert text(send_one()).state == "simulated_rejected"
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-0", False, False)
    assert inbound_helpers.ledger_kinds(NUMBER) == ["opt_in"]


def test_unreachable_override_changes_no_other_number(simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway(EnableSmsOverrideNumber="true", SmsOverrideNumber=OVERRIDE)
    reject_next_text(simulator, "21614")
    receipt(send_one(), "undelivered", "30005")
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-0", False, False)
    assert inbound_helpers.stored_consent_state(OVERRIDE) == (None, False, False)
    assert inbound_helpers.notified_accounts("number_check") == []


def test_stopped_override_number_stops_no_other_number(
    simulator: servers.SimulatorClient,
) -> None:
    scenario.configure_gateway(EnableSmsOverrideNumber="true", SmsOverrideNumber=OVERRIDE)
    reject_next_text(simulator, "21610")
    send_one()
    assert inbound_helpers.stored_consent_state(NUMBER) == ("P-0", False, False)
    assert inbound_helpers.stored_consent_state(OVERRIDE) == (None, True, False)
    assert text(send_one()).state == "ready", "it waits"
    scenario.configure_gateway(EnableSmsOverrideNumber="false")
    scenario.run_sms_worker()
    assert [text["to"] for text in simulator.accepted_texts()] == [NUMBER]

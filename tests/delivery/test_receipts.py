"""Status callbacks: each stored once, states only move forward, early ones are applied later."""

import itertools

import pytest
from sqlalchemy import func, select, update

from portal.consent import account_phones
from portal.core.actor import SHELL_ACTOR
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.delivery.receipts import apply_orphaned_receipts, record_receipt
from portal.delivery.sms_claim import record_and_claim
from portal.messages.tables.communications import Attempt, Receipt
from portal.settings.tables.sending_numbers import pause_sender, paused_senders, resume_senders
from tests.support import inbound_helpers, scenario, servers

pytestmark = pytest.mark.usefixtures("app")


@pytest.fixture
def accepted_attempt(app: object, simulator: servers.SimulatorClient) -> Attempt:
    """The attempt of one accepted text."""
    scenario.configure_gateway(rate=5)
    scenario.create_accounts(1, with_sms=1)
    scenario.add_template()
    scenario.create_expanded_send()
    scenario.run_sms_worker()
    return db.session.scalars(select(Attempt).where(Attempt.outcome == "accepted")).one()


def receive(attempt: Attempt, status: str, code: str = "", with_attempt_id: bool = True) -> None:
    form = {"MessageSid": attempt.provider_id or "", "MessageStatus": status, "ErrorCode": code}
    record_receipt({k: v for k, v in form.items() if v}, attempt.id if with_attempt_id else "", scenario.now_ms())


def state() -> str:
    return scenario.deliveries("sms")[0].state


@pytest.mark.one_engine
@pytest.mark.parametrize("order", list(itertools.permutations(["queued", "sent", "delivered"])))
def test_receipts_in_any_order_end_in_delivered(accepted_attempt: Attempt, order: tuple[str, ...]) -> None:
    for status in order:
        receive(accepted_attempt, status)
    assert state() == "delivered"


def test_conflicting_receipt_is_stored_without_a_transition(accepted_attempt: Attempt) -> None:
    receive(accepted_attempt, "delivered")
    receive(accepted_attempt, "undelivered", "30003")
    assert state() == "delivered"
    assert db.session.scalar(select(func.count()).select_from(Receipt)) == 2


def test_repeated_receipt_is_stored_once(accepted_attempt: Attempt) -> None:
    for _ in range(100):
        receive(accepted_attempt, "sent")
    assert db.session.scalar(select(func.count()).select_from(Receipt)) == 1


def test_receipt_before_the_response_proves_acceptance(simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(1, with_sms=1)
    scenario.add_template()
    scenario.create_expanded_send()
    claimed = record_and_claim([], 10, lambda: scenario.now_ms() * 1000).claimed[0]
    record_receipt({"MessageSid": "SM1", "MessageStatus": "sent"}, claimed.attempt.id, scenario.now_ms())
    assert state() == "sent"
    db.session.remove()
    assert db.session.get_one(Attempt, claimed.attempt.id).provider_id == "SM1"


def test_orphaned_receipt_is_applied_once_its_message_is_known(accepted_attempt: Attempt) -> None:
    provider_id = accepted_attempt.provider_id
    db.session.execute(update(Attempt).values(provider_id=None))
    db.session.commit()
    form = {"MessageSid": provider_id or "", "MessageStatus": "delivered"}
    record_receipt(form, "", scenario.now_ms())
    assert state() == "accepted"
    db.session.execute(update(Attempt).values(provider_id=provider_id))
    db.session.commit()
    apply_orphaned_receipts(scenario.now_ms())
    assert state() == "delivered"


def test_undelivered_text_stores_the_error_code(accepted_attempt: Attempt) -> None:
    receive(accepted_attempt, "undelivered", "30005")
    row = scenario.deliveries("sms")[0]
    assert (row.state, row.error_code) == ("undelivered", "30005")


@pytest.mark.one_engine
@pytest.mark.parametrize("code", ["30002", "30032", "30034"])
def test_account_fault_in_a_receipt_pauses_the_sender(
    code: str, accepted_attempt: Attempt, simulator: servers.SimulatorClient
) -> None:
    scenario.create_more_accounts(3)
    scenario.create_expanded_send("renewal")
    receive(accepted_attempt, "failed", code)
    receive(accepted_attempt, "undelivered", code)
    (paused,) = paused_senders()
    assert (paused.number, paused.paused_reason.partition(":")[0]) == (accepted_attempt.sender, code)
    scenario.run_sms_worker(seconds=2)
    assert len(simulator.accepted_texts()) == 1
    assert {row.attempt_count for row in scenario.deliveries("sms") if row.state == "ready"} == {0}


def test_receipt_of_a_text_from_before_resuming_pauses_nothing(accepted_attempt: Attempt) -> None:
    with transaction():
        pause_sender(accepted_attempt.sender, "30034: by hand", accepted_attempt.started_at_ms, scenario.now_ms())
        resume_senders(scenario.now_ms() + 1)
    receive(accepted_attempt, "failed", "30034")
    assert paused_senders() == []


DAY_MS = 86_400_000


def fail_on_days(account_id: int, *days: int, code: str = "30003") -> bool:
    """Texts to one phone on those days, each ending with the code; whether the phone is unreachable then."""
    for day in days:
        inbound_helpers.receive_error_receipt(account_id, scenario.phone_number(7), code, day * DAY_MS)
    return inbound_helpers.stored_consent_state(scenario.phone_number(7))[2]


def test_third_unreachable_receipt_marks_the_phone_unreachable() -> None:
    (account_id,) = inbound_helpers.create_sharing_accounts(scenario.phone_number(7), 0, "U-1")
    assert not fail_on_days(account_id, 100)
    assert not fail_on_days(account_id, 140, 141), "the first is too old"
    assert not fail_on_days(account_id, 142, code=""), "another outcome resets the count"
    assert not fail_on_days(account_id, 143, 144)
    assert fail_on_days(account_id, 145)
    assert inbound_helpers.ledger_kinds(scenario.phone_number(7)) == ["unreachable"]


def test_confirming_a_phone_resets_the_unreachable_count() -> None:
    (account_id,) = inbound_helpers.create_sharing_accounts(scenario.phone_number(7), 0, "U-1")
    assert fail_on_days(account_id, 100, 101, 102)
    phone_id = inbound_helpers.phone_id(account_id, scenario.phone_number(7))
    account_phones.confirm_number(phone_id, account_id, SHELL_ACTOR, 103 * DAY_MS)
    assert not fail_on_days(account_id, 104, 105)
    assert fail_on_days(account_id, 106)


def test_receipt_of_a_simulated_text_pauses_nothing(accepted_attempt: Attempt) -> None:
    db.session.execute(update(Attempt).values(mode="test"))
    db.session.commit()
    receive(accepted_attempt, "failed", "30002")
    assert paused_senders() == []


@pytest.mark.one_engine
@pytest.mark.parametrize("code", ["21408", "21608", "30007"])
def test_fault_of_one_destination_pauses_nothing(code: str, accepted_attempt: Attempt) -> None:
    receive(accepted_attempt, "failed", code)
    assert paused_senders() == []


def test_malformed_receipts_are_harmless(accepted_attempt: Attempt) -> None:
    record_receipt({}, "", scenario.now_ms())
    record_receipt({"MessageSid": "SM\x00x", "MessageStatus": "sent\x00"}, "\x00", scenario.now_ms())
    record_receipt({"MessageSid": "SMy", "MessageStatus": "no such status"}, "nobody", scenario.now_ms())
    assert state() == "accepted"

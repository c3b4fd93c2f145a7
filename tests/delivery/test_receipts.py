"""Status callbacks: each kept once, states only forward, those that come too early applied later."""

import itertools

import pytest
from sqlalchemy import func, select

from portal.consent import account_phones
from portal.core.actor import SHELL_ACTOR
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.delivery.receipts import apply_orphaned_receipts, record_receipt
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


def receipt(attempt: Attempt, status: str, code: str = "", named: bool = True) -> None:
    form = {"MessageSid": attempt.provider_id, "MessageStatus": status, "ErrorCode": code}
    record_receipt({k: v for k, v in form.items() if v}, attempt.id if named else "", scenario.now_ms())


def state() -> str:
    return scenario.deliveries("sms")[0].state


@pytest.mark.one_engine
@pytest.mark.parametrize("order", list(itertools.permutations(["queued", "sent", "delivered"])))
def test_whatever_the_order_a_delivered_text_ends_delivered(sent: Attempt, order: tuple[str, ...]) -> None:
    for status in order:
        receipt(sent, status)
    assert state() == "delivered"


def test_what_is_final_stays_and_the_contradiction_is_kept_beside_it(sent: Attempt) -> None:
    receipt(sent, "delivered")
    receipt(sent, "undelivered", "30003")
    assert state() == "delivered"
    assert db.session.scalar(select(func.count()).select_from(Receipt)) == 2


def test_the_same_receipt_a_hundred_times_is_one_event(sent: Attempt) -> None:
    for _ in range(100):
        receipt(sent, "sent")
    assert db.session.scalar(select(func.count()).select_from(Receipt)) == 1


def test_a_receipt_that_comes_before_our_answer_proves_acceptance(simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(1, with_sms=1)
    scenario.add_template()
    scenario.create_expanded_send()
    from portal.delivery.sms_claim import record_and_claim

    claimed = record_and_claim([], 10, lambda: scenario.now_ms() * 1000).claimed[0]
    record_receipt({"MessageSid": "SM1", "MessageStatus": "sent"}, claimed.attempt_id, scenario.now_ms())
    assert state() == "sent"
    db.session.remove()
    assert db.session.get(Attempt, claimed.attempt_id).provider_id == "SM1"


def test_an_orphan_is_applied_when_its_message_is_known(sent: Attempt) -> None:
    provider_id = sent.provider_id
    db.session.execute(Attempt.__table__.update().values(provider_id=None))
    db.session.commit()
    form = {"MessageSid": provider_id, "MessageStatus": "delivered"}
    record_receipt(form, "", scenario.now_ms())
    assert state() == "accepted"
    db.session.execute(Attempt.__table__.update().values(provider_id=provider_id))
    db.session.commit()
    apply_orphaned_receipts(scenario.now_ms())
    assert state() == "delivered"


def test_an_undelivered_text_keeps_the_carriers_code(sent: Attempt) -> None:
    receipt(sent, "undelivered", "30005")
    row = scenario.deliveries("sms")[0]
    assert (row.state, row.error_code) == ("undelivered", "30005")


@pytest.mark.one_engine
@pytest.mark.parametrize("code", ["30002", "30032", "30034"])
def test_a_fault_of_the_account_told_by_receipt_pauses_the_sender_and_no_further_text_is_burned(
    code: str, sent: Attempt, simulator: servers.SimulatorClient
) -> None:
    scenario.create_more_accounts(3)
    scenario.create_expanded_send("renewal")
    receipt(sent, "failed", code)
    receipt(sent, "undelivered", code)
    (paused,) = paused_senders()
    assert (paused.number, paused.paused_reason.partition(":")[0]) == (sent.sender, code)
    scenario.run_sms_worker(seconds=2)
    assert len(simulator.accepted_texts()) == 1
    assert {row.attempt_count for row in scenario.deliveries("sms") if row.state == "ready"} == {0}


def test_late_news_of_a_text_from_before_it_was_mended_or_resumed_pauses_nothing(sent: Attempt) -> None:
    with transaction():
        pause_sender(sent.sender, "30034: by hand", sent.started_at_ms, scenario.now_ms())
        resume_senders(scenario.now_ms() + 1)
    receipt(sent, "failed", "30034")
    assert paused_senders() == []


DAY_MS = 86_400_000


def fail_on_days(account_id: int, *days: int, code: str = "30003") -> bool:
    """Texts to one number on those days, each ending with the code; whether the number counts as unreachable then."""
    for day in days:
        inbound_helpers.receive_error_receipt(account_id, scenario.phone_number(7), code, day * DAY_MS)
    return inbound_helpers.stored_consent_state(scenario.phone_number(7))[2]


def test_a_phone_that_was_off_three_times_in_a_row_within_a_month_counts_as_unreachable() -> None:
    (account_id,) = inbound_helpers.create_sharing_accounts(scenario.phone_number(7), 0, "U-1")
    assert not fail_on_days(account_id, 100)
    assert not fail_on_days(account_id, 140, 141), "the first is too long ago"
    assert not fail_on_days(account_id, 142, code=""), "another end begins the row anew"
    assert not fail_on_days(account_id, 143, 144)
    assert fail_on_days(account_id, 145)
    assert inbound_helpers.ledger_kinds(scenario.phone_number(7)) == ["unreachable"]


def test_whoever_confirms_a_number_that_was_off_begins_the_row_anew() -> None:
    (account_id,) = inbound_helpers.create_sharing_accounts(scenario.phone_number(7), 0, "U-1")
    assert fail_on_days(account_id, 100, 101, 102)
    phone_id = inbound_helpers.phone_id(account_id, scenario.phone_number(7))
    account_phones.confirm_number(phone_id, account_id, SHELL_ACTOR, 103 * DAY_MS)
    assert not fail_on_days(account_id, 104, 105)
    assert fail_on_days(account_id, 106)


def test_a_rehearsal_pauses_nothing_whatever_is_told_of_it(sent: Attempt) -> None:
    db.session.execute(Attempt.__table__.update().values(mode="test"))
    db.session.commit()
    receipt(sent, "failed", "30002")
    assert paused_senders() == []


@pytest.mark.one_engine
@pytest.mark.parametrize("code", ["21408", "21608", "30007"])
def test_a_fault_of_one_destination_pauses_nothing(code: str, sent: Attempt) -> None:
    receipt(sent, "failed", code)
    assert paused_senders() == []


def test_a_receipt_with_null_bytes_or_nothing_in_it_does_no_harm(sent: Attempt) -> None:
    record_receipt({}, "", scenario.now_ms())
    record_receipt({"MessageSid": "SM\x00x", "MessageStatus": "sent\x00"}, "\x00", scenario.now_ms())
    record_receipt({"MessageSid": "SMy", "MessageStatus": "no such status"}, "nobody", scenario.now_ms())
    assert state() == "accepted"

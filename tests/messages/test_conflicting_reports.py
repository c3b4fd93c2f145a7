"""Conflicting reports about a text: no state changes, nothing is resent, and each conflict is reported once."""

import json
from collections.abc import Iterator

import pytest
from sqlalchemy import event, func, select
from structlog.testing import capture_logs

from portal.consent.tables.ledger import ConsentEvent
from portal.core import audit_log
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.delivery import reconciliation, unresolved_deliveries
from portal.delivery.receipts import _store_receipts, apply_provider_status, record_receipt
from portal.delivery.sms_attempt import ClaimedText, SmsResult
from portal.delivery.sms_claim import record_and_claim
from portal.gateways.outcomes import Accepted, AccountFault, NotSent, Outcome, Rejected, Unknown
from portal.gateways.provider import ProviderMessage
from portal.messages import timeline
from portal.messages.rules.report_conflicts import CONFLICT_LABELS, ReportConflict
from portal.messages.tables.communications import Attempt, Communication, Delivery, Receipt
from portal.sends.send_control import apply_to_deliveries, cancel_send
from portal.settings.tables.sending_numbers import paused_senders
from tests.support import scenario, servers

pytestmark = pytest.mark.usefixtures("app")

_MINUTE_MS = 60_000


@pytest.fixture(autouse=True)
def one_ready_text(app: object, simulator: servers.SimulatorClient) -> None:
    scenario.create_one_waiting_text()


def claim_text(ahead_ms: int = 0) -> ClaimedText:
    """Claim the text; it is in flight."""
    (claimed,) = record_and_claim([], 10, lambda: scenario.now_us() + ahead_ms * 1000).claimed
    return claimed


def record_response(claimed: ClaimedText, outcome: Outcome) -> None:
    result = SmsResult(claimed, outcome)
    assert record_and_claim([result], 0, scenario.now_us).claimed == ()


def claim_and_accept(sid: str = "SM1") -> ClaimedText:
    claimed = claim_text()
    record_response(claimed, Accepted(sid))
    return claimed


def confirm_not_sent(claimed: ClaimedText) -> None:
    """No answer, and Twilio’s list does not show it."""
    record_response(claimed, Unknown("No answer"))
    db.session.remove()
    reconciliation.reconcile_unknown_texts(lambda: scenario.now_ms() + _MINUTE_MS)


def receive_receipt(claimed: ClaimedText, status: str, code: str = "", sid: str = "SM1") -> None:
    form = {"MessageSid": sid, "MessageStatus": status, "ErrorCode": code}
    record_receipt({key: value for key, value in form.items() if value}, claimed.attempt.id, scenario.now_ms())


def only_delivery() -> Delivery:
    (delivery,) = scenario.deliveries("sms")
    return delivery


def recorded_conflicts() -> list[tuple[str, list[str]]]:
    """Kind and Twilio ids of each conflict in the audit log, oldest first."""
    entries = [
        entry
        for entry in reversed(audit_log.audit_page_before(None, 50))
        if entry.subject == f"text {only_delivery().id}"
    ]
    return [(entry.action, entry.detail["ids"]) for entry in entries if "ids" in entry.detail]


def timeline_conflicts() -> list[tuple[str, str]]:
    """Label and detail of each conflict in the timeline of the text."""
    timeline_entries = timeline.timeline_entries(only_delivery())
    return [(entry.label, entry.detail) for entry in timeline_entries if entry.label in CONFLICT_LABELS.values()]


DELIVERED, UNDELIVERED = ("delivered", ""), ("undelivered", "30003")


@pytest.mark.parametrize(("first", "second"), [(DELIVERED, UNDELIVERED), (UNDELIVERED, DELIVERED)])
def test_conflicting_outcomes_keep_the_first_and_report_once(first: tuple[str, str], second: tuple[str, str]) -> None:
    claimed = claim_and_accept()
    receive_receipt(claimed, *first)
    assert recorded_conflicts() == []
    with capture_logs() as logs:
        for _ in range(3):
            receive_receipt(claimed, *second)
    assert only_delivery().state == first[0]
    assert recorded_conflicts() == [(ReportConflict.CONFLICTING_OUTCOMES, ["SM1"])]
    ((label, detail),) = timeline_conflicts()
    assert label == CONFLICT_LABELS[ReportConflict.CONFLICTING_OUTCOMES]
    assert "“Delivered”" in detail
    assert "“Not delivered”" in detail
    assert db.session.scalar(select(func.count()).select_from(Receipt)) == 2, "both receipts are kept"
    (line,) = [line for line in logs if line["event"] == "conflicting delivery reports"]
    assert (line["kind"], line["delivery"]) == (ReportConflict.CONFLICTING_OUTCOMES, only_delivery().id)
    assert scenario.phone_number(0)[1:] not in json.dumps(logs)


@pytest.mark.parametrize(
    "statuses",
    [
        [("undelivered", "30003"), ("failed", "30003"), ("undelivered", "30008"), ("failed", "21610")],
        [("delivered", ""), ("read", ""), ("sent", ""), ("queued", ""), ("sending", "")],
        [("undelivered", "30003"), ("sent", ""), ("queued", ""), ("no such status", "")],
    ],
)
def test_repeated_and_late_receipts_do_not_conflict(statuses: list[tuple[str, str]]) -> None:
    claimed = claim_and_accept()
    for status, code in statuses:
        receive_receipt(claimed, status, code)
    assert recorded_conflicts() == []
    assert timeline_conflicts() == []


def test_two_messages_of_one_attempt_are_reported_once() -> None:
    claimed = claim_and_accept("SM1")
    for status in ("queued", "sent", "delivered"):
        receive_receipt(claimed, status, sid="SM2")
    assert recorded_conflicts() == [(ReportConflict.ACCEPTED_TWICE, ["SM1", "SM2"])]
    receive_receipt(claimed, "undelivered", "30003", sid="SM1")
    assert recorded_conflicts() == [(ReportConflict.ACCEPTED_TWICE, ["SM1", "SM2"])], (
        "each of two messages may have its own outcome"
    )
    receive_receipt(claimed, "sent", sid="SM3")
    assert recorded_conflicts()[1:] == [(ReportConflict.ACCEPTED_TWICE, ["SM1", "SM2", "SM3"])]
    assert only_delivery().state == "delivered"


def test_answer_with_another_message_id_is_reported() -> None:
    claimed = claim_text()
    receive_receipt(claimed, "sent", sid="SM2")
    assert recorded_conflicts() == []
    record_response(claimed, Accepted("SM1"))
    assert recorded_conflicts() == [(ReportConflict.ACCEPTED_TWICE, ["SM1", "SM2"])]
    attempt = db.session.get_one(Attempt, claimed.attempt.id)
    assert (attempt.outcome, attempt.provider_id) == ("accepted", "SM2"), "the first provider id stays"


@pytest.mark.parametrize("late_by_response", [True, False])
@pytest.mark.parametrize("second_by_response", [True, False])
def test_two_accepted_attempts_are_reported(late_by_response: bool, second_by_response: bool) -> None:
    first = claim_text()
    confirm_not_sent(first)
    second = claim_text(ahead_ms=2 * _MINUTE_MS)
    accept_message(first, "SM1", late_by_response)
    assert recorded_conflicts() == []
    accept_message(second, "SM2", second_by_response)
    assert recorded_conflicts() == [(ReportConflict.ACCEPTED_TWICE, ["SM1", "SM2"])]
    assert only_delivery().state in ("accepted", "sent")
    assert count_claims_next_day() == 0


def accept_message(claimed: ClaimedText, sid: str, by_response: bool) -> None:
    if by_response:
        record_response(claimed, Accepted(sid))
    else:
        receive_receipt(claimed, "sent", sid=sid)


def count_claims_next_day() -> int:
    return len(record_and_claim([], 10, lambda: scenario.now_us() + 86_400_000_000).claimed)


@pytest.mark.parametrize("code", ["21211", "21610"])
def test_receipt_for_a_rejected_text_is_reported_once(code: str) -> None:
    claimed = claim_text()
    record_response(claimed, Rejected(code, "No"))
    state = only_delivery().state
    assert state in ("rejected", "opted_out")
    for status in ("queued", "sent", "delivered"):
        receive_receipt(claimed, status)
    assert only_delivery().state == state
    assert recorded_conflicts() == [(ReportConflict.SENT_AND_NOT_SENT, ["SM1"])]
    assert timeline_conflicts()[0][0] == CONFLICT_LABELS[ReportConflict.SENT_AND_NOT_SENT]


def test_rejection_after_receipts_is_reported() -> None:
    claimed = claim_text()
    receive_receipt(claimed, "sent")
    record_response(claimed, Rejected("21211", "No"))
    assert only_delivery().state == "sent"
    assert recorded_conflicts() == [(ReportConflict.SENT_AND_NOT_SENT, ["SM1"])]


@pytest.mark.parametrize("outcome", [NotSent("Too many", 1.0, 429, "20429"), AccountFault("21606", "No", 400)])
def test_temporary_rejection_after_a_receipt_is_reported(outcome: Outcome) -> None:
    claimed = claim_text()
    receive_receipt(claimed, "sent")
    record_response(claimed, outcome)
    assert only_delivery().state == "sent"
    assert recorded_conflicts() == [(ReportConflict.SENT_AND_NOT_SENT, ["SM1"])]


def test_rejected_second_attempt_does_not_conflict_with_first() -> None:
    first = claim_text()
    confirm_not_sent(first)
    second = claim_text(ahead_ms=2 * _MINUTE_MS)
    receive_receipt(first, "sent")
    record_response(second, Rejected("21211", "No"))
    assert (only_delivery().state, recorded_conflicts()) == ("sent", [])


@pytest.mark.parametrize("by_response", [True, False])
def test_sent_text_recorded_as_canceled_is_reported(by_response: bool) -> None:
    claimed = claim_text()
    confirm_not_sent(claimed)
    send_id = only_delivery().send_id or 0
    cancel_send(send_id, None, scenario.now_ms())
    apply_to_deliveries(send_id, scenario.now_ms)
    accept_message(claimed, "SM1", by_response)
    assert only_delivery().state == "canceled"
    assert recorded_conflicts() == [(ReportConflict.SENT_AND_NOT_SENT, ["SM1"])]
    assert "“Canceled”" in timeline_conflicts()[0][1]


@pytest.mark.parametrize("by_response", [True, False])
def test_sent_text_recorded_as_not_sent_is_reported(by_response: bool) -> None:
    claimed = claim_text()
    record_response(claimed, Unknown("No answer"))
    at_ms = scenario.now_ms() + 60 * _MINUTE_MS
    unresolved_deliveries.resolve_manually(
        only_delivery().id, unresolved_deliveries.NOT_SENT, "NOT SENT", claimed.attempt.id, None, at_ms
    )
    accept_message(claimed, "SM1", by_response)
    assert only_delivery().state == "expired"
    assert recorded_conflicts() == [(ReportConflict.SENT_AND_NOT_SENT, ["SM1"])]


def test_manually_confirmed_text_accepts_later_receipts() -> None:
    claimed = claim_text()
    record_response(claimed, Unknown("No answer"))
    at_ms = scenario.now_ms() + 60 * _MINUTE_MS
    unresolved_deliveries.resolve_manually(
        only_delivery().id, unresolved_deliveries.SENT, "SENT", claimed.attempt.id, None, at_ms
    )
    record_response(claimed, Accepted("SM1"))
    receive_receipt(claimed, "delivered")
    assert (only_delivery().state, recorded_conflicts()) == ("delivered", [])


def test_duplicate_messages_are_in_the_timeline_once(
    simulator: servers.SimulatorClient,
) -> None:
    claimed = claim_text()
    record_response(claimed, Unknown("No answer"))
    message = {"to": only_delivery().address, "body": only_delivery().body}
    sids = simulator.call_api("POST", "/simulator/seed", {"messages": [message, message]})["sids"]
    db.session.remove()
    reconciliation.reconcile_unknown_texts(scenario.now_ms)
    assert recorded_conflicts() == [(ReportConflict.LISTED_TWICE, sorted(sids))]
    for sid in sids:
        receive_receipt(claimed, "delivered", sid=sid)
    assert recorded_conflicts() == [(ReportConflict.LISTED_TWICE, sorted(sids))]
    assert [label for label, _ in timeline_conflicts()] == [CONFLICT_LABELS[ReportConflict.LISTED_TWICE]]


@pytest.fixture
def executed_statements(app: object) -> Iterator[list[str]]:
    """SQL statements executed from now on."""
    statements: list[str] = []

    def record(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(db.engine, "before_cursor_execute", record)
    yield statements
    event.remove(db.engine, "before_cursor_execute", record)


@pytest.mark.parametrize("before_response", [True, False])
def test_consistent_receipts_query_no_conflicts(before_response: bool, executed_statements: list[str]) -> None:
    claimed = claim_text() if before_response else claim_and_accept()
    executed_statements.clear()
    for status in ("sent", "queued", "delivered", "sending"):
        receive_receipt(claimed, status)
    if before_response:
        record_response(claimed, Accepted("SM1"))
    assert executed_statements
    assert not [sql for sql in executed_statements if "audit_entry" in sql or "receipt.delivery_id IN" in sql]


def side_effects() -> tuple[list[str], int, int]:
    """Ledger events from Twilio, number of paused senders, and number of further communications."""
    db.session.remove()
    kinds = list(
        db.session.scalars(select(ConsentEvent.kind).where(ConsentEvent.source == "twilio").order_by(ConsentEvent.id))
    )
    made = db.session.scalar(select(func.count()).select_from(Communication)) or 0
    return kinds, len(paused_senders()), made - 1


_EVENTS_BY_CODE = {"30006": ["unreachable"], "21610": ["stop"], "30002": [], "30005": ["unreachable"]}


@pytest.mark.parametrize("code", _EVENTS_BY_CODE)
def test_receipt_without_transition_has_no_side_effects(code: str) -> None:
    claimed = claim_and_accept()
    receive_receipt(claimed, "delivered")
    receive_receipt(claimed, "undelivered", code)
    receive_receipt(claimed, "failed", code)
    assert side_effects() == ([], 0, 0)
    assert recorded_conflicts() == [(ReportConflict.CONFLICTING_OUTCOMES, ["SM1"])]


@pytest.mark.parametrize("code", _EVENTS_BY_CODE)
def test_final_receipt_has_side_effects_once(code: str) -> None:
    claimed = claim_and_accept()
    receive_receipt(claimed, "undelivered", code)
    first = side_effects()
    assert (first[0], first[1]) == (_EVENTS_BY_CODE[code], int(code == "30002"))
    receive_receipt(claimed, "failed", code)
    receive_receipt(claimed, "undelivered", "21610" if code != "21610" else "30006")
    assert side_effects() == first


@pytest.mark.one_engine
def test_only_the_effective_receipt_of_a_batch_has_side_effects() -> None:
    claimed = claim_and_accept()
    rows = [
        {"provider_id": "SM1", "status": status, "error_code": code, "attempt_id": claimed.attempt.id}
        for status, code in (("sent", ""), ("undelivered", "30006"), ("delivered", ""), ("failed", "30002"))
    ]
    common = {"raw": {}, "received_at_ms": scenario.now_ms(), "applied": False}
    _store_receipts([{**row, **common} for row in rows])
    assert only_delivery().state == "delivered"
    assert side_effects() == ([], 0, 0)


@pytest.mark.one_engine
@pytest.mark.parametrize("code", _EVENTS_BY_CODE)
def test_poll_result_that_conflicts_has_no_side_effects(code: str) -> None:
    claimed = claim_and_accept()
    receive_receipt(claimed, "delivered")
    message = ProviderMessage(
        "SM1",
        claimed.sender.sender_key,
        claimed.attempt.destination,
        claimed.text.body,
        "undelivered",
        code,
        "",
        "outbound-api",
    )
    with transaction():
        apply_provider_status(db.session.get_one(Delivery, claimed.attempt.delivery_id), message, scenario.now_ms())
    assert side_effects() == ([], 0, 0)


@pytest.mark.parametrize(
    "outcome", [Rejected("21610", "Stopped"), Rejected("21614", "No mobile"), AccountFault("20003", "No")]
)
def test_answer_after_contrary_evidence_has_no_side_effects(outcome: Outcome) -> None:
    claimed = claim_text()
    receive_receipt(claimed, "delivered")
    record_response(claimed, outcome)
    assert side_effects() == ([], 0, 0)
    assert (ReportConflict.SENT_AND_NOT_SENT, ["SM1"]) in recorded_conflicts()

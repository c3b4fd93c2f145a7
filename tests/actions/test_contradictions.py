"""What cannot all be true of one text: no state moves for it, nothing is sent again, and somebody is told, once."""

import json
from collections.abc import Iterator

import parts
import pytest
import world
from sqlalchemy import event, func, select
from structlog.testing import capture_logs

from portal.actions import reconcile, timeline, unknowns
from portal.actions.receipts import _take as receipts_taken
from portal.actions.receipts import advance_by_evidence, take_receipt
from portal.actions.send_control import cancel_send, carry_out
from portal.actions.sms_claim import Claimed, cycle
from portal.actions.sms_record import Result
from portal.actions.transaction import transaction
from portal.extensions import db
from portal.gateways.outcomes import Accepted, Misconfigured, NotProcessed, Outcome, Refused, Unknown
from portal.gateways.provider import Found
from portal.models import audit_log
from portal.models.communication import Attempt, Communication, Delivery, Receipt
from portal.models.consent import ConsentEvent
from portal.models.gateway import paused_senders

pytestmark = pytest.mark.usefixtures("app")

BOTH_ENDS, BOTH_WAYS = "text_ended_both_ways", "text_taken_and_not"
TAKEN_TWICE, LISTED_TWICE = "text_taken_twice", "text_listed_twice"
_MINUTE_MS = 60_000


@pytest.fixture(autouse=True)
def one_text(app: object, simulator: parts.Simulator) -> None:
    world.one_text()


def claim(ahead_ms: int = 0) -> Claimed:
    """The text is under way, and nothing is heard of it yet."""
    (claimed,) = cycle([], 10, lambda: world.now_us() + ahead_ms * 1000).claimed
    return claimed


def answer(claimed: Claimed, outcome: Outcome) -> None:
    result = Result(claimed.attempt_id, claimed.delivery_id, claimed.mode, claimed.sender.key, outcome, claimed.kind)
    assert cycle([result], 0, world.now_us).claimed == ()


def accepted(sid: str = "SM1") -> Claimed:
    claimed = claim()
    answer(claimed, Accepted(sid))
    return claimed


def absent(claimed: Claimed) -> None:
    """No answer, and Twilio's list does not show it."""
    answer(claimed, Unknown("No answer"))
    db.session.remove()
    reconcile.settle_unknown(lambda: world.now_ms() + _MINUTE_MS)


def receipt(claimed: Claimed, status: str, code: str = "", sid: str = "SM1") -> None:
    form = {"MessageSid": sid, "MessageStatus": status, "ErrorCode": code}
    take_receipt({key: value for key, value in form.items() if value}, claimed.attempt_id, world.now_ms())


def text() -> Delivery:
    (found,) = world.deliveries("sms")
    return found


def kept() -> list[tuple[str, list[str]]]:
    """Kind and Twilio's ids of each contradiction in the audit log, oldest first."""
    entries = [entry for entry in reversed(audit_log.page_before(None, 50)) if entry.subject == f"text {text().id}"]
    return [(entry.action, entry.detail["ids"]) for entry in entries if "ids" in entry.detail]


def told() -> list[tuple[str, str]]:
    """What the story of the text says of contradictions."""
    entries = timeline.entries(text())
    return [(entry.words, entry.detail) for entry in entries if entry.words.startswith("Contradiction: ")]


ARRIVED, NOT_ARRIVED = ("delivered", ""), ("undelivered", "30003")


@pytest.mark.parametrize(("first", "second"), [(ARRIVED, NOT_ARRIVED), (NOT_ARRIVED, ARRIVED)])
def test_two_ends_of_one_message_leave_the_first_and_are_told_once(
    first: tuple[str, str], second: tuple[str, str]
) -> None:
    claimed = accepted()
    receipt(claimed, *first)
    assert kept() == []
    with capture_logs() as logs:
        for _ in range(3):
            receipt(claimed, *second)
    assert text().state == first[0]
    assert kept() == [(BOTH_ENDS, ["SM1"])]
    ((words, detail),) = told()
    assert words == "Contradiction: Twilio said that it arrived, and that it did not"
    assert "“Delivered”" in detail
    assert "“Not delivered”" in detail
    assert db.session.scalar(select(func.count()).select_from(Receipt)) == 2, "the receipts are the evidence"
    (line,) = [line for line in logs if "contradictory" in line["event"]]
    assert (line["kind"], line["delivery"]) == (BOTH_ENDS, text().id)
    assert world.number(0)[1:] not in json.dumps(logs)


@pytest.mark.parametrize(
    "statuses",
    [
        [("undelivered", "30003"), ("failed", "30003"), ("undelivered", "30008"), ("failed", "21610")],
        [("delivered", ""), ("read", ""), ("sent", ""), ("queued", ""), ("sending", "")],
        [("undelivered", "30003"), ("sent", ""), ("queued", ""), ("no such status", "")],
    ],
)
def test_what_only_repeats_or_comes_late_contradicts_nothing(statuses: list[tuple[str, str]]) -> None:
    claimed = accepted()
    for status, code in statuses:
        receipt(claimed, status, code)
    assert kept() == []
    assert told() == []


def test_two_messages_of_one_attempt_are_told_once_in_either_order() -> None:
    claimed = accepted("SM1")
    for status in ("queued", "sent", "delivered"):
        receipt(claimed, status, sid="SM2")
    assert kept() == [(TAKEN_TWICE, ["SM1", "SM2"])]
    receipt(claimed, "undelivered", "30003", sid="SM1")
    assert kept() == [(TAKEN_TWICE, ["SM1", "SM2"])], "of two messages each may have an end of its own"
    receipt(claimed, "sent", sid="SM3")
    assert kept()[1:] == [(TAKEN_TWICE, ["SM1", "SM2", "SM3"])]
    assert text().state == "delivered"


def test_an_answer_that_names_another_message_than_the_receipts_before_it_is_told() -> None:
    claimed = claim()
    receipt(claimed, "sent", sid="SM2")
    assert kept() == []
    answer(claimed, Accepted("SM1"))
    assert kept() == [(TAKEN_TWICE, ["SM1", "SM2"])]
    attempt = db.session.get_one(Attempt, claimed.attempt_id)
    assert (attempt.outcome, attempt.provider_id) == ("accepted", "SM2"), "what was known first stays known"


@pytest.mark.parametrize("late_by_answer", [True, False])
@pytest.mark.parametrize("second_by_answer", [True, False])
def test_two_attempts_that_were_both_taken_are_told(late_by_answer: bool, second_by_answer: bool) -> None:
    first = claim()
    absent(first)
    second = claim(ahead_ms=2 * _MINUTE_MS)
    take(first, "SM1", late_by_answer)
    assert kept() == []
    take(second, "SM2", second_by_answer)
    assert kept() == [(TAKEN_TWICE, ["SM1", "SM2"])]
    assert text().state in ("accepted", "sent")
    assert claimed_again() == 0


def take(claimed: Claimed, sid: str, by_answer: bool) -> None:
    if by_answer:
        answer(claimed, Accepted(sid))
    else:
        receipt(claimed, "sent", sid=sid)


def claimed_again() -> int:
    return len(cycle([], 10, lambda: world.now_us() + 86_400_000_000).claimed)


@pytest.mark.parametrize("code", ["21211", "21610"])
def test_a_receipt_for_a_text_that_was_refused_moves_nothing_and_is_told_once(code: str) -> None:
    claimed = claim()
    answer(claimed, Refused(code, "No"))
    refused = text().state
    assert refused in ("rejected", "suppressed")
    for status in ("queued", "sent", "delivered"):
        receipt(claimed, status)
    assert text().state == refused
    assert kept() == [(BOTH_WAYS, ["SM1"])]
    assert told()[0][0] == "Contradiction: there is word that it left, and word that it did not"


def test_a_refusal_of_a_text_that_receipts_came_for_moves_nothing_and_is_told() -> None:
    claimed = claim()
    receipt(claimed, "sent")
    answer(claimed, Refused("21211", "No"))
    assert text().state == "sent"
    assert kept() == [(BOTH_WAYS, ["SM1"])]


@pytest.mark.parametrize("outcome", [NotProcessed("Too many", 1.0, 429, "20429"), Misconfigured("21606", "No", 400)])
def test_an_answer_that_a_text_was_not_taken_after_its_receipt_moves_nothing_and_is_told(outcome: Outcome) -> None:
    claimed = claim()
    receipt(claimed, "sent")
    answer(claimed, outcome)
    assert text().state == "sent"
    assert kept() == [(BOTH_WAYS, ["SM1"])]


def test_a_refusal_of_the_second_attempt_is_no_contradiction_to_the_first() -> None:
    first = claim()
    absent(first)
    second = claim(ahead_ms=2 * _MINUTE_MS)
    receipt(first, "sent")
    answer(second, Refused("21211", "No"))
    assert (text().state, kept()) == ("sent", [])


@pytest.mark.parametrize("by_answer", [True, False])
def test_a_text_that_was_cancelled_and_had_left_after_all_stays_cancelled_and_is_told(by_answer: bool) -> None:
    claimed = claim()
    absent(claimed)
    send_id = text().send_id or 0
    cancel_send(send_id, None, world.now_ms())
    carry_out(send_id, world.now_ms)
    take(claimed, "SM1", by_answer)
    assert text().state == "canceled"
    assert kept() == [(BOTH_WAYS, ["SM1"])]
    assert "“Cancelled”" in told()[0][1]


@pytest.mark.parametrize("by_answer", [True, False])
def test_a_text_that_somebody_took_as_not_sent_and_had_left_is_told(by_answer: bool) -> None:
    claimed = claim()
    answer(claimed, Unknown("No answer"))
    at_ms = world.now_ms() + 60 * _MINUTE_MS
    unknowns.decide(text().id, unknowns.UNSENT, "NOT SENT", claimed.attempt_id, None, at_ms)
    take(claimed, "SM1", by_answer)
    assert text().state == "dead"
    assert kept() == [(BOTH_WAYS, ["SM1"])]


def test_a_text_taken_as_sent_without_evidence_is_only_confirmed_by_what_comes() -> None:
    claimed = claim()
    answer(claimed, Unknown("No answer"))
    at_ms = world.now_ms() + 60 * _MINUTE_MS
    unknowns.decide(text().id, unknowns.SENT, "SENT", claimed.attempt_id, None, at_ms)
    answer(claimed, Accepted("SM1"))
    receipt(claimed, "delivered")
    assert (text().state, kept()) == ("delivered", [])


def test_two_copies_in_the_list_are_in_the_story_and_their_receipts_say_nothing_new(
    simulator: parts.Simulator,
) -> None:
    claimed = claim()
    answer(claimed, Unknown("No answer"))
    one = {"to": text().address, "body": text().body}
    sids = simulator.send("POST", "/simulator/seed", {"messages": [one, one]})["sids"]
    db.session.remove()
    reconcile.settle_unknown(world.now_ms)
    assert kept() == [(LISTED_TWICE, sorted(sids))]
    for sid in sids:
        receipt(claimed, "delivered", sid=sid)
    assert kept() == [(LISTED_TWICE, sorted(sids))]
    assert [words for words, _ in told()] == [
        "Contradiction: Twilio lists it more than once; the person may have it twice"
    ]


@pytest.fixture
def statements(app: object) -> Iterator[list[str]]:
    """What the database is asked for from now on."""
    found: list[str] = []

    def keep(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        found.append(statement)

    event.listen(db.engine, "before_cursor_execute", keep)
    yield found
    event.remove(db.engine, "before_cursor_execute", keep)


@pytest.mark.parametrize("before_the_answer", [True, False])
def test_receipts_in_any_order_that_agree_look_for_no_contradiction(
    before_the_answer: bool, statements: list[str]
) -> None:
    claimed = claim() if before_the_answer else accepted()
    statements.clear()
    for status in ("sent", "queued", "delivered", "sending"):
        receipt(claimed, status)
    if before_the_answer:
        answer(claimed, Accepted("SM1"))
    assert statements
    assert not [sql for sql in statements if "audit_entry" in sql or "receipt.delivery_id IN" in sql]


def effects() -> tuple[list[str], int, int]:
    """What followed: events of the ledger, paused sending numbers, and communications that were made."""
    db.session.remove()
    kinds = list(db.session.scalars(select(ConsentEvent.kind).where(ConsentEvent.source == "twilio")))
    made = db.session.scalar(select(func.count()).select_from(Communication)) or 0
    return kinds, len(paused_senders()), made - 1


_FOLLOWS = {"30006": ["unreachable"], "21610": ["stop"], "30002": [], "30005": ["unreachable"]}


@pytest.mark.parametrize("code", _FOLLOWS)
def test_a_receipt_that_moves_nothing_has_no_effect_beyond_being_told(code: str) -> None:
    claimed = accepted()
    receipt(claimed, "delivered")
    receipt(claimed, "undelivered", code)
    receipt(claimed, "failed", code)
    assert effects() == ([], 0, 0)
    assert kept() == [(BOTH_ENDS, ["SM1"])]


@pytest.mark.parametrize("code", _FOLLOWS)
def test_the_receipt_that_ends_a_text_has_its_effects_once(code: str) -> None:
    claimed = accepted()
    receipt(claimed, "undelivered", code)
    first = effects()
    assert (first[0], first[1]) == (_FOLLOWS[code], int(code == "30002"))
    receipt(claimed, "failed", code)
    receipt(claimed, "undelivered", "21610" if code != "21610" else "30006")
    assert effects() == first


@pytest.mark.one_engine
def test_of_receipts_that_come_together_the_one_that_moved_the_text_has_effects() -> None:
    claimed = accepted()
    rows = [
        {"provider_id": "SM1", "status": status, "error_code": code, "attempt_id": claimed.attempt_id}
        for status, code in (("sent", ""), ("undelivered", "30006"), ("delivered", ""), ("failed", "30002"))
    ]
    more = {"raw": {}, "received_at_ms": world.now_ms(), "applied": False}
    receipts_taken([{**row, **more} for row in rows])
    assert text().state == "delivered"
    assert effects() == ([], 0, 0)


@pytest.mark.one_engine
@pytest.mark.parametrize("code", _FOLLOWS)
def test_what_a_look_at_twilio_says_against_the_record_has_no_effect(code: str) -> None:
    claimed = accepted()
    receipt(claimed, "delivered")
    found = Found("SM1", claimed.sender.key, claimed.sent_to, claimed.body, "undelivered", code, "", "outbound-api")
    with transaction():
        advance_by_evidence(db.session.get_one(Delivery, claimed.delivery_id), found, world.now_ms())
    assert effects() == ([], 0, 0)


@pytest.mark.parametrize(
    "outcome", [Refused("21610", "Stopped"), Refused("21614", "No mobile"), Misconfigured("20003", "No")]
)
def test_an_answer_that_came_after_the_proof_of_the_contrary_has_no_effect(outcome: Outcome) -> None:
    claimed = claim()
    receipt(claimed, "delivered")
    answer(claimed, outcome)
    assert effects() == ([], 0, 0)
    assert (BOTH_WAYS, ["SM1"]) in kept()

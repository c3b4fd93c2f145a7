"""Status callbacks, stored once and applied forward (docs/twilio.md#status-callbacks, docs/reliability.md#receipts)."""

from collections.abc import Mapping, Sequence
from typing import Any

from portal.actions import contradictions
from portal.actions.consent import record_reported_stop, record_unreachable
from portal.actions.contradictions import DeliveryReport
from portal.actions.sending_numbers import record_failure, pause_numbers, apply_quota_limit
from portal.actions.together import Together
from portal.actions.transaction import transaction
from portal.domain import text_input
from portal.domain.contradictions import ProviderReport
from portal.domain.provider_codes import NOT_REACHED, NOT_REACHED_MOST, OPTED_OUT, Advice, explain
from portal.domain.routing import SIMULATED_MODES
from portal.domain.status import STATES, may_move, state_for_receipt
from portal.extensions import db
from portal.gateways.provider import Found
from portal.models import batches, claims, receipts
from portal.models.communication import Attempt, Delivery, Receipt
from portal.models.gateway import forget_failures
from portal.models.upsert import insert_new

_ORPHANS_AT_ONCE = 200
_ORPHAN_AGE_MS = 86_400_000
_WINDOW_MS = 30 * 86_400_000
"""How far back texts count that did not reach a phone."""
NEXT_RECEIPT_MS = 600_000
"""Fetch a text's status after ten minutes without a receipt (docs/reliability.md#missing-receipts)."""


def take_receipt(form: Mapping[str, str], attempt_id: str, now_ms: int) -> None:
    """Store the event and move its delivery, together with those of other threads. Again it changes nothing."""
    fields = {text_input.clean_for_storage(key): text_input.clean_for_storage(value) for key, value in form.items()}
    codes = {key: text_input.clean_code(value) for key, value in fields.items()}
    provider_id = codes.get("MessageSid") or codes.get("SmsSid", "")
    status = (codes.get("MessageStatus") or codes.get("SmsStatus", "")).lower()
    code = codes.get("ErrorCode", "").strip("0") and codes["ErrorCode"]
    if not provider_id or not status:
        return
    row = {
        "provider_id": provider_id,
        "status": status,
        "error_code": code,
        "attempt_id": text_input.clean_code(attempt_id)[:64],
        "raw": fields,
        "received_at_ms": now_ms,
        "applied": False,
    }
    db.session.rollback()  # no connection is held while others are waited for
    _together.do(row)


def apply_orphans(now_ms: int) -> None:
    """Receipts that came before their message was known."""
    with transaction():
        _apply(receipts.orphans(now_ms - _ORPHAN_AGE_MS, _ORPHANS_AT_ONCE), now_ms)


def _take(rows: Sequence[dict[str, Any]]) -> None:
    """Receipts that came at about the same time, in one transaction."""
    with transaction():
        insert_new(Receipt, rows, ["provider_id", "status", "error_code"])
        _apply(receipts.unapplied([row["provider_id"] for row in rows]), max(row["received_at_ms"] for row in rows))


_together = Together(_take)


_Known = Sequence[tuple[Receipt, Attempt]]


def _apply(found: Sequence[Receipt], now_ms: int) -> None:
    """All of them at once: each delivery forward to what is said of it, the earlier states first.

    What a receipt says beyond its text follows only where it moved that text: what contradicts the record is told,
    and does nothing else.
    """
    attempts = receipts.attempts_for(found)
    known = [(receipt, attempts[receipt.id]) for receipt in found if receipt.id in attempts]
    ids = [attempt.delivery_id for _, attempt in known]
    batches.lock(ids)
    before = batches.states(ids) if any(receipt.error_code for receipt, _ in known) else {}
    told = _by_state(known)
    odd = [*_move(told, now_ms), *_prove(known, now_ms)]
    receipts.apply_all([(receipt.id, attempt.delivery_id) for receipt, attempt in known])
    if odd:
        contradictions.record_conflicts([_news(receipt, attempt) for receipt, attempt in odd], now_ms)
    passed = {attempt.sender for _, attempt in told.get("delivered", ())}
    for receipt, attempt in sorted(_moved(told, before), key=lambda pair: _is_of_number(pair[0].error_code)):
        # sending numbers are locked after the ledger, here and where texts leave: nobody waits in a circle
        heed_code(attempt.id, receipt.error_code, now_ms, _words_of(receipt), attempt.sender in passed)
    if passed:
        forget_failures(passed)


def _is_of_number(code: str) -> bool:
    """Whether it says something of the number that sends."""
    said = explain(code)
    return said.advice is Advice.PAUSE or said.rest is not None or not said.is_known


def _words_of(receipt: Receipt) -> str:
    return str((receipt.raw or {}).get("ErrorMessage", ""))


def _by_state(known: _Known) -> dict[str, _Known]:
    """What is told, in the order in which states follow one another; without what says nothing of delivery."""
    told: dict[str, list[tuple[Receipt, Attempt]]] = {name: [] for name in STATES}
    for receipt, attempt in known:
        if state := state_for_receipt(receipt.status, receipt.error_code):
            told[state].append((receipt, attempt))
    return {state: pairs for state, pairs in told.items() if pairs}


def _move(told: Mapping[str, _Known], now_ms: int) -> _Known:
    """The deliveries. What did not move, and is no receipt that was only overtaken, may be a contradiction."""
    left: list[tuple[Receipt, Attempt]] = []
    for state, pairs in told.items():
        rows = [(attempt.delivery_id, receipt.provider_id, receipt.error_code) for receipt, attempt in pairs]
        if batches.advance_many(rows, state, now_ms, now_ms + NEXT_RECEIPT_MS) < len(rows):
            left += [pair for pair in pairs if STATES[state].final or pair[1].provider_id is None]
    return left


def _moved(told: Mapping[str, _Known], before: Mapping[int, str]) -> _Known:
    """Those with a code that moved their delivery on from where it stood `before`, as the statements did."""
    now, moved = dict(before), []
    for state, pairs in told.items():
        for receipt, attempt in pairs:
            if attempt.delivery_id in now and may_move(now[attempt.delivery_id], state):
                now[attempt.delivery_id] = state
                moved += [(receipt, attempt)] if receipt.error_code else []
    return moved


def _prove(known: _Known, now_ms: int) -> _Known:
    """The attempts. What is of another message than theirs, or than another attempt's, may be a contradiction."""
    first: dict[str, str] = {}
    for receipt, attempt in known:
        first.setdefault(attempt.id, attempt.provider_id or receipt.provider_id)
    unproven = {attempt.id for _, attempt in known if attempt.provider_id is None}
    alone = batches.prove_many([(attempt_id, first[attempt_id]) for attempt_id in sorted(unproven)], now_ms)
    return [
        (receipt, attempt)
        for receipt, attempt in known
        if receipt.provider_id != first[attempt.id] or (attempt.id in unproven and not alone)
    ]


def _news(receipt: Receipt, attempt: Attempt) -> DeliveryReport:
    state = state_for_receipt(receipt.status, receipt.error_code) or ""
    return DeliveryReport(attempt.delivery_id, ProviderReport(state, receipt.provider_id), receipt.error_code)


def heed_code(attempt_id: str, code: str, now_ms: int, words: str = "", others_pass: bool = False) -> None:
    """What a code says beyond its text: the number's owner said STOP, nobody can be reached there, or nothing passes.

    Inside a transaction, after the delivery's and the attempt's own rows are written. `others_pass`: texts from the
    same number arrived at the same time, so one that nobody can explain says nothing of it.
    """
    if not code or (attempt := db.session.get_one(Attempt, attempt_id)).mode in SIMULATED_MODES:
        return
    said = explain(code)
    if said.rest is not None:
        apply_quota_limit(attempt.sender, code, said.rest, attempt.started_at_ms, now_ms)
    elif said.advice is Advice.PAUSE:
        pause_numbers(attempt.sender, code, said.sentence, attempt.started_at_ms, now_ms)
    elif code == OPTED_OUT:
        record_reported_stop(attempt.delivery_id, attempt_id, now_ms)
    elif said.number_is_dead or _is_given_up(attempt, code, now_ms):
        record_unreachable(db.session.get_one(Delivery, attempt.delivery_id), attempt_id, code, now_ms)
    elif code.isdecimal() and not said.is_known and attempt.provider_id is not None and not others_pass:
        record_failure(attempt, code, words, now_ms)


def _is_given_up(attempt: Attempt, code: str, now_ms: int) -> bool:
    """A phone that was off is no dead number; off again and again it is, until its owner says otherwise."""
    if code != NOT_REACHED:
        return False
    since_ms = max(now_ms - _WINDOW_MS, receipts.shown_right_ms(attempt.sent_to))
    delivery = db.session.get_one(Delivery, attempt.delivery_id)
    return receipts.ended_alike(delivery, code, NOT_REACHED_MOST, since_ms)


def advance_by_evidence(delivery: Delivery, found: Found, now_ms: int, proves: str = "") -> None:
    """What Twilio's own list or a fetch says, applied as a receipt would be. Inside a transaction.

    `proves` is the attempt that was accepted by this evidence, whatever we heard of it; "" where that was known.
    """
    to = state_for_receipt(found.status, found.error_code) or "accepted"
    known: dict[str, Any] = {"now_ms": now_ms, "provider_id": found.provider_id}
    taken = claims.advance(delivery.id, "accepted", **known)
    ended = claims.advance(delivery.id, to, error_code=found.error_code, **known)
    moved = taken or ended
    alone = not proves or batches.prove_many([(proves, found.provider_id)], now_ms)
    if not alone or (not moved and (proves or STATES[to].final)):
        contradictions.record_conflicts([DeliveryReport(delivery.id, ProviderReport(to, found.provider_id), found.error_code)], now_ms)
    if delivery.attempt_id and ended:
        heed_code(delivery.attempt_id, found.error_code, now_ms)

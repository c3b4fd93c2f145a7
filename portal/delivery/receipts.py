"""Status callbacks, stored once and applied forward (docs/twilio.md#status-callbacks, docs/reliability.md#receipts)."""

from collections.abc import Mapping, Sequence
from typing import Any

from portal.consent.recording import record_reported_stop, record_unreachable
from portal.consent.tables import ledger
from portal.core.extensions import db
from portal.core.group_commit import GroupCommit
from portal.core.rules import text_input
from portal.core.rules.delivery_status import STATES, DeliveryState, can_transition, state_for_receipt
from portal.core.rules.routing import SIMULATED_MODES
from portal.core.statements import insert_missing
from portal.core.transaction import transaction
from portal.delivery.sender_limits import apply_quota_limit, pause_numbers, record_failure
from portal.gateways.provider import ProviderMessage
from portal.gateways.rules.provider_codes import (
    HANDSET_UNREACHABLE,
    MAX_UNREACHABLE_IN_A_ROW,
    OPTED_OUT,
    RetryPolicy,
    explain_error_code,
)
from portal.messages import conflicting_reports
from portal.messages.conflicting_reports import DeliveryReport
from portal.messages.rules.report_conflicts import ProviderReport
from portal.messages.tables import bulk_updates, receipt_matching, transitions
from portal.messages.tables.communications import Attempt, Delivery, Receipt
from portal.settings.tables.sending_numbers import clear_unrecognized_failures

_ORPHAN_BATCH_SIZE = 200
_ORPHAN_AGE_MS = 86_400_000
_UNREACHABLE_WINDOW_MS = 30 * 86_400_000
"""How far back texts count that did not reach a phone."""
RECEIPT_CHECK_DELAY_MS = 600_000
"""Fetch a text's status after ten minutes without a receipt (docs/reliability.md#missing-receipts)."""


def record_receipt(form: Mapping[str, str], attempt_id: str, now_ms: int) -> None:
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
    _group_commit.submit(row)


def apply_orphaned_receipts(now_ms: int) -> None:
    """Receipts that came before their message was known."""
    with transaction():
        _apply(receipt_matching.orphaned_receipts(now_ms - _ORPHAN_AGE_MS, _ORPHAN_BATCH_SIZE), now_ms)


def _store_receipts(rows: Sequence[dict[str, Any]]) -> None:
    """Receipts that came at about the same time, in one transaction."""
    with transaction():
        insert_missing(Receipt, rows, ["provider_id", "status", "error_code"])
        _apply(
            receipt_matching.unapplied_receipts([row["provider_id"] for row in rows]),
            max(row["received_at_ms"] for row in rows),
        )


_group_commit = GroupCommit(_store_receipts)


_MatchedReceipts = Sequence[tuple[Receipt, Attempt]]


def _apply(found: Sequence[Receipt], now_ms: int) -> None:
    """All of them at once: each delivery forward to what is said of it, the earlier states first.

    What a receipt says beyond its text follows only where it moved that text: what contradicts the record is told,
    and does nothing else.
    """
    attempts = receipt_matching.attempts_for(found)
    known = [(receipt, attempts[receipt.id]) for receipt in found if receipt.id in attempts]
    ids = [attempt.delivery_id for _, attempt in known]
    bulk_updates.lock_deliveries(ids)
    before = bulk_updates.delivery_states(ids) if any(receipt.error_code for receipt, _ in known) else {}
    told = _group_by_state(known)
    odd = [*_advance_deliveries(told, now_ms), *_confirm_attempts(known, now_ms)]
    receipt_matching.mark_receipts_applied([(receipt.id, attempt.delivery_id) for receipt, attempt in known])
    if odd:
        conflicting_reports.record_conflicts([_conflict_report(receipt, attempt) for receipt, attempt in odd], now_ms)
    passed = {attempt.sender for _, attempt in told.get("delivered", ())}
    for receipt, attempt in sorted(
        _receipts_that_advanced(told, before), key=lambda pair: _concerns_sender(pair[0].error_code)
    ):
        # sending numbers are locked after the ledger, here and where texts leave: nobody waits in a circle
        handle_error_code(attempt.id, receipt.error_code, now_ms, _error_message(receipt), attempt.sender in passed)
    if passed:
        clear_unrecognized_failures(passed)


def _concerns_sender(code: str) -> bool:
    """Whether it says something of the number that sends."""
    said = explain_error_code(code)
    return said.retry_policy is RetryPolicy.PAUSE or said.cooldown is not None or not said.is_documented


def _error_message(receipt: Receipt) -> str:
    return str((receipt.raw or {}).get("ErrorMessage", ""))


def _group_by_state(known: _MatchedReceipts) -> dict[str, _MatchedReceipts]:
    """What is told, in the order in which states follow one another; without what says nothing of delivery."""
    told: dict[str, list[tuple[Receipt, Attempt]]] = {name: [] for name in STATES}
    for receipt, attempt in known:
        if state := state_for_receipt(receipt.status, receipt.error_code):
            told[state].append((receipt, attempt))
    return {state: pairs for state, pairs in told.items() if pairs}


def _advance_deliveries(told: Mapping[str, _MatchedReceipts], now_ms: int) -> _MatchedReceipts:
    """The deliveries. What did not move, and is no receipt that was only overtaken, may be a contradiction."""
    left: list[tuple[Receipt, Attempt]] = []
    for state, pairs in told.items():
        rows = [(attempt.delivery_id, receipt.provider_id, receipt.error_code) for receipt, attempt in pairs]
        if bulk_updates.advance_many(rows, state, now_ms, now_ms + RECEIPT_CHECK_DELAY_MS) < len(rows):
            left += [pair for pair in pairs if STATES[state].final or pair[1].provider_id is None]
    return left


def _receipts_that_advanced(told: Mapping[str, _MatchedReceipts], before: Mapping[int, str]) -> _MatchedReceipts:
    """Those with a code that moved their delivery on from where it stood `before`, as the statements did."""
    now, moved = dict(before), []
    for state, pairs in told.items():
        for receipt, attempt in pairs:
            if attempt.delivery_id in now and can_transition(now[attempt.delivery_id], state):
                now[attempt.delivery_id] = state
                moved += [(receipt, attempt)] if receipt.error_code else []
    return moved


def _confirm_attempts(known: _MatchedReceipts, now_ms: int) -> _MatchedReceipts:
    """The attempts. What is of another message than theirs, or than another attempt's, may be a contradiction."""
    first: dict[str, str] = {}
    for receipt, attempt in known:
        first.setdefault(attempt.id, attempt.provider_id or receipt.provider_id)
    unproven = {attempt.id for _, attempt in known if attempt.provider_id is None}
    alone = bulk_updates.confirm_accepted([(attempt_id, first[attempt_id]) for attempt_id in sorted(unproven)], now_ms)
    return [
        (receipt, attempt)
        for receipt, attempt in known
        if receipt.provider_id != first[attempt.id] or (attempt.id in unproven and not alone)
    ]


def _conflict_report(receipt: Receipt, attempt: Attempt) -> DeliveryReport:
    state = state_for_receipt(receipt.status, receipt.error_code) or ""
    return DeliveryReport(attempt.delivery_id, ProviderReport(state, receipt.provider_id), receipt.error_code)


def handle_error_code(
    attempt_id: str, code: str, now_ms: int, error_message: str = "", others_delivered: bool = False
) -> None:
    """What a code says beyond its text: the number's owner said STOP, nobody can be reached there, or nothing passes.

    Inside a transaction, after the delivery's and the attempt's own rows are written. `others_pass`: texts from the
    same number arrived at the same time, so one that nobody can explain says nothing of it.
    """
    if not code or (attempt := db.session.get_one(Attempt, attempt_id)).mode in SIMULATED_MODES:
        return
    said = explain_error_code(code)
    if said.cooldown is not None:
        apply_quota_limit(attempt.sender, code, said.cooldown, attempt.started_at_ms, now_ms)
    elif said.retry_policy is RetryPolicy.PAUSE:
        pause_numbers(attempt.sender, code, said.sentence, attempt.started_at_ms, now_ms)
    elif code == OPTED_OUT:
        record_reported_stop(attempt.delivery_id, attempt_id, now_ms)
    elif said.is_phone_invalid or _is_repeatedly_unreachable(attempt, code, now_ms):
        record_unreachable(db.session.get_one(Delivery, attempt.delivery_id), attempt_id, code, now_ms)
    elif code.isdecimal() and not said.is_documented and attempt.provider_id is not None and not others_delivered:
        record_failure(attempt, code, error_message, now_ms)


def _is_repeatedly_unreachable(attempt: Attempt, code: str, now_ms: int) -> bool:
    """A phone that was off is no dead number; off again and again it is, until its owner says otherwise."""
    if code != HANDSET_UNREACHABLE:
        return False
    since_ms = max(now_ms - _UNREACHABLE_WINDOW_MS, ledger.last_confirmed_ms(attempt.destination))
    delivery = db.session.get_one(Delivery, attempt.delivery_id)
    return receipt_matching.last_texts_all_ended_with(delivery, code, MAX_UNREACHABLE_IN_A_ROW, since_ms)


def apply_provider_status(
    delivery: Delivery, found: ProviderMessage, now_ms: int, accepted_attempt_id: str = ""
) -> None:
    """What Twilio's own list or a fetch says, applied as a receipt would be. Inside a transaction.

    `proves` is the attempt that was accepted by this evidence, whatever we heard of it; "" where that was known.
    """
    to = state_for_receipt(found.status, found.error_code) or "accepted"
    known: dict[str, Any] = {"now_ms": now_ms, "provider_id": found.provider_id}
    taken = transitions.advance_delivery(delivery.id, DeliveryState.ACCEPTED, **known)
    ended = transitions.advance_delivery(delivery.id, to, error_code=found.error_code, **known)
    moved = taken or ended
    alone = not accepted_attempt_id or bulk_updates.confirm_accepted([(accepted_attempt_id, found.provider_id)], now_ms)
    if not alone or (not moved and (accepted_attempt_id or STATES[to].final)):
        conflicting_reports.record_conflicts(
            [DeliveryReport(delivery.id, ProviderReport(to, found.provider_id), found.error_code)], now_ms
        )
    if delivery.attempt_id and ended:
        handle_error_code(delivery.attempt_id, found.error_code, now_ms)

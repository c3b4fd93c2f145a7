"""Store status callbacks, and apply them forward (docs/twilio.md#status-callbacks, docs/reliability.md#receipts)."""

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
from portal.delivery.sender_health import apply_quota_limit, pause_numbers, record_unexplained
from portal.gateways.provider import ProviderMessage
from portal.gateways.rules import provider_codes
from portal.gateways.rules.provider_codes import RetryPolicy, explain_error_code
from portal.messages import conflicting_reports
from portal.messages.conflicting_reports import DeliveryReport
from portal.messages.tables import attempts, receipt_matching, transitions
from portal.messages.tables.attempts import Charge
from portal.messages.tables.communications import Attempt, Delivery, Receipt
from portal.settings.tables.sending_numbers import clear_unrecognized_failures

_ORPHAN_BATCH_SIZE = 200
_ORPHAN_AGE_MS = 86_400_000
_UNREACHABLE_WINDOW_MS = 30 * 86_400_000
"""How long an undeliverable text counts towards treating its number as unreachable."""
RECEIPT_CHECK_DELAY_MS = 600_000
"""Fetch a text's status after ten minutes without a receipt (docs/reliability.md#missing-receipts)."""


def record_receipt(form: Mapping[str, str], attempt_id: str, now_ms: int) -> None:
    """Store the receipt and move its delivery, in one commit with those of other threads. Repeats change nothing."""
    fields = {text_input.clean_for_storage(key): text_input.clean_for_storage(value) for key, value in form.items()}
    provider_id = _code(fields, "MessageSid") or _code(fields, "SmsSid")
    status = (_code(fields, "MessageStatus") or _code(fields, "SmsStatus")).lower()
    code = _code(fields, "ErrorCode")
    if not provider_id or not status:
        return
    row = {
        "provider_id": provider_id,
        "status": status,
        "error_code": code if code.strip("0") else "",
        "attempt_id": text_input.clean_code(attempt_id)[:64],
        "raw": fields,
        "received_at_ms": now_ms,
        "applied": False,
    }
    if db.session.registry.has():
        db.session.rollback()  # hold no connection while waiting for other threads
    _group_commit.submit(row)


def _code(fields: Mapping[str, str], name: str) -> str:
    return text_input.clean_code(fields.get(name, ""))


def apply_orphaned_receipts(now_ms: int) -> None:
    """Apply receipts that arrived before their message was known."""
    with transaction():
        _apply(receipt_matching.orphaned_receipts(now_ms - _ORPHAN_AGE_MS, _ORPHAN_BATCH_SIZE), now_ms)


def _store_receipts(rows: Sequence[dict[str, Any]]) -> None:
    """Store concurrent receipts in one transaction."""
    with transaction():
        insert_missing(Receipt, rows, ["provider_id", "status", "error_code"])
        receipts = receipt_matching.unapplied_receipts([row["provider_id"] for row in rows])
        _apply(receipts, max(row["received_at_ms"] for row in rows))


_group_commit = GroupCommit(_store_receipts)
_MatchedReceipts = Sequence[tuple[Receipt, Attempt]]


def _apply(receipts: Sequence[Receipt], now_ms: int) -> None:
    """Move each delivery forward to the states its receipts report, earlier states first.

    A receipt has side effects only if it moved its delivery. One that contradicts the record is only reported.
    """
    attempts = receipt_matching.attempts_for(receipts)
    matched = [(receipt, attempts[receipt.id]) for receipt in receipts if receipt.id in attempts]
    ids = [attempt.delivery_id for _, attempt in matched]
    transitions.lock_deliveries(ids)
    before = transitions.delivery_states(ids) if any(receipt.error_code for receipt, _ in matched) else {}
    by_state = _group_by_state(matched)
    conflicting = [*_advance_deliveries(by_state, now_ms), *_confirm_attempts(matched, now_ms)]
    receipt_matching.mark_receipts_applied([(receipt.id, attempt.delivery_id) for receipt, attempt in matched])
    if conflicting:
        conflicting_reports.record_conflicts([_conflict_report(*pair) for pair in conflicting], now_ms)
    delivered_from = {attempt.sender for _, attempt in by_state.get(DeliveryState.DELIVERED, ())}
    advanced = _receipts_that_advanced(by_state, before)
    for receipt, attempt in sorted(advanced, key=lambda pair: _concerns_sender(pair[0].error_code)):
        # lock sending numbers after the ledger, as sending does: the same order prevents deadlocks
        message = str((receipt.raw or {}).get("ErrorMessage", ""))
        handle_error_code(attempt.id, receipt.error_code, now_ms, message, attempt.sender in delivered_from)
    if delivered_from:
        clear_unrecognized_failures(delivered_from)


def _concerns_sender(code: str) -> bool:
    """Whether the code says something about the sending number."""
    info = explain_error_code(code)
    return info.retry_policy is RetryPolicy.PAUSE or info.cooldown is not None or not info.is_documented


def _group_by_state(matched: _MatchedReceipts) -> dict[str, _MatchedReceipts]:
    """Reported states in the order in which they follow one another; other statuses are left out."""
    by_state: dict[str, list[tuple[Receipt, Attempt]]] = {name: [] for name in STATES}
    for receipt, attempt in matched:
        if state := state_for_receipt(receipt.status, receipt.error_code):
            by_state[state].append((receipt, attempt))
    return {state: pairs for state, pairs in by_state.items() if pairs}


def _advance_deliveries(by_state: Mapping[str, _MatchedReceipts], now_ms: int) -> _MatchedReceipts:
    """Return receipts that moved nothing and were not merely overtaken: they may contradict the record."""
    unmoved: list[tuple[Receipt, Attempt]] = []
    for state, pairs in by_state.items():
        rows = [(attempt.delivery_id, receipt.provider_id, receipt.error_code) for receipt, attempt in pairs]
        if transitions.report_many(rows, state, now_ms, now_ms + RECEIPT_CHECK_DELAY_MS) < len(rows):
            unmoved += [pair for pair in pairs if STATES[state].final or pair[1].provider_id is None]
    return unmoved


def _receipts_that_advanced(by_state: Mapping[str, _MatchedReceipts], before: Mapping[int, str]) -> _MatchedReceipts:
    """Receipts with a code that moved their delivery on from its state `before`, as the statements did."""
    states, moved = dict(before), []
    for state, pairs in by_state.items():
        for receipt, attempt in pairs:
            if attempt.delivery_id in states and can_transition(states[attempt.delivery_id], state):
                states[attempt.delivery_id] = state
                moved += [(receipt, attempt)] if receipt.error_code else []
    return moved


def _confirm_attempts(matched: _MatchedReceipts, now_ms: int) -> _MatchedReceipts:
    """Return receipts for another message than the attempt’s, or for a second accepted attempt: they may conflict."""
    provider_ids: dict[str, str] = {}
    for receipt, attempt in matched:
        provider_ids.setdefault(attempt.id, attempt.provider_id or receipt.provider_id)
    unconfirmed = {attempt.id for _, attempt in matched if attempt.provider_id is None}
    pairs = [(attempt_id, provider_ids[attempt_id]) for attempt_id in sorted(unconfirmed)]
    is_only_one = attempts.confirm_accepted(pairs, now_ms)
    return [
        (receipt, attempt)
        for receipt, attempt in matched
        if receipt.provider_id != provider_ids[attempt.id] or (attempt.id in unconfirmed and not is_only_one)
    ]


def _conflict_report(receipt: Receipt, attempt: Attempt) -> DeliveryReport:
    state = state_for_receipt(receipt.status, receipt.error_code) or ""
    return DeliveryReport(attempt.delivery_id, state, receipt.provider_id, receipt.error_code)


def handle_error_code(attempt_id: str, code: str, now_ms: int, message: str = "", others_arrived: bool = False) -> None:
    """Apply what a code says about the recipient (STOP, unreachable) or the sending number.

    Inside a transaction, after the delivery and the attempt are written. `others_arrived`: texts from the same number
    arrived at the same time, so an unknown code says nothing about the number.
    """
    if not code or (attempt := db.session.get_one(Attempt, attempt_id)).mode in SIMULATED_MODES:
        return
    info = explain_error_code(code)
    if info.cooldown is not None:
        apply_quota_limit(attempt.sender, code, info.cooldown, attempt.started_at_ms, now_ms)
    elif info.retry_policy is RetryPolicy.PAUSE:
        pause_numbers(attempt.sender, code, info.sentence, attempt.started_at_ms, now_ms)
    elif code == provider_codes.OPTED_OUT:
        record_reported_stop(attempt.delivery_id, attempt_id, now_ms)
    elif info.is_phone_invalid or _is_repeatedly_unreachable(attempt, code, now_ms):
        record_unreachable(db.session.get_one(Delivery, attempt.delivery_id), attempt_id, code, now_ms)
    elif code.isdecimal() and not info.is_documented and attempt.provider_id is not None and not others_arrived:
        record_unexplained(attempt, "unrecognized_failures", code, message, now_ms)


def _is_repeatedly_unreachable(attempt: Attempt, code: str, now_ms: int) -> bool:
    """A phone may be off once; after several times in a row it counts as unreachable until confirmed."""
    if code != provider_codes.HANDSET_UNREACHABLE:
        return False
    since_ms = max(now_ms - _UNREACHABLE_WINDOW_MS, ledger.last_confirmed_ms(attempt.destination))
    delivery = db.session.get_one(Delivery, attempt.delivery_id)
    max_failures = provider_codes.MAX_UNREACHABLE_IN_A_ROW
    return receipt_matching.last_texts_all_ended_with(delivery, code, max_failures, since_ms)


def apply_provider_status(delivery: Delivery, message: ProviderMessage, now_ms: int, attempt_id: str = "") -> None:
    """Apply what Twilio’s list or a fetch says, as a receipt would be. Inside a transaction.

    `attempt_id` is the attempt that this proves accepted; "" if that was known.
    """
    provider_id, code = message.provider_id, message.error_code
    state = state_for_receipt(message.status, code) or DeliveryState.ACCEPTED
    accepted = transitions.report(delivery.id, DeliveryState.ACCEPTED, now_ms, provider_id=provider_id)
    advanced = transitions.report(delivery.id, state, now_ms, provider_id=provider_id, error_code=code)
    is_only_one = not attempt_id or attempts.confirm_accepted([(attempt_id, provider_id)], now_ms)
    attempts.record_charges(charges_of([message]))
    moved = accepted or advanced
    if not is_only_one or (not moved and (attempt_id or STATES[state].final)):
        conflicting_reports.record_conflicts([DeliveryReport(delivery.id, state, provider_id, code)], now_ms)
    if delivery.attempt_id and advanced:
        handle_error_code(delivery.attempt_id, code, now_ms)


def charges_of(messages: Sequence[ProviderMessage]) -> list[Charge]:
    """What the provider already knows of the cost of these messages."""
    known = (message for message in messages if message.price or message.segments)
    return [Charge(message.provider_id, message.segments, message.price, message.price_unit) for message in known]

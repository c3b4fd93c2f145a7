"""Status callbacks: kept once, applied forward, orphans later (TWILIO.md 2.7, RELIABILITY.md 2.6)."""

from collections.abc import Mapping

from sqlalchemy import update

from portal.actions.consent import note_late_stop, note_unreachable
from portal.actions.transaction import transaction
from portal.domain.provider_codes import OPTED_OUT, explain
from portal.domain.routing import SIMULATED_MODES
from portal.domain.status import state_for_receipt
from portal.extensions import db
from portal.models import claims, receipts
from portal.models.communication import Attempt, Delivery, Receipt
from portal.models.upsert import insert_new

_ORPHANS_AT_ONCE = 200
_ORPHAN_AGE_MS = 86_400_000
NEXT_RECEIPT_MS = 600_000
"""A text not heard of for ten minutes is asked after (RELIABILITY.md 2.6)."""


def take_receipt(form: Mapping[str, str], attempt_id: str, now_ms: int) -> None:
    """Store the event and move its delivery. The same event again changes nothing."""
    fields = {key: value.replace("\x00", "") for key, value in form.items()}
    provider_id = fields.get("MessageSid") or fields.get("SmsSid", "")
    status = (fields.get("MessageStatus") or fields.get("SmsStatus", "")).lower()
    code = fields.get("ErrorCode", "").strip("0") and fields["ErrorCode"]
    if not provider_id or not status:
        return
    row = {
        "provider_id": provider_id,
        "status": status,
        "error_code": code,
        "attempt_id": attempt_id.replace("\x00", "")[:64],
        "raw": fields,
        "received_at_ms": now_ms,
        "applied": False,
    }
    with transaction():
        insert_new(Receipt, [row], ["provider_id", "status", "error_code"])
        receipt = receipts.stored(provider_id, status, code)
        if receipt is not None and not receipt.applied:
            _apply(receipt, now_ms)


def apply_orphans(now_ms: int) -> None:
    """Receipts that came before their message was known."""
    with transaction():
        for receipt in receipts.orphans(now_ms - _ORPHAN_AGE_MS, _ORPHANS_AT_ONCE):
            _apply(receipt, now_ms)


def _apply(receipt: Receipt, now_ms: int) -> None:
    delivery = receipts.delivery_for(receipt.provider_id, receipt.attempt_id)
    if delivery is None:
        return
    to = state_for_receipt(receipt.status, receipt.error_code)
    if to is not None:
        claims.advance(
            delivery.id,
            to,
            now_ms,
            provider_id=receipt.provider_id,
            error_code=receipt.error_code,
            next_at_ms=now_ms + NEXT_RECEIPT_MS,
        )
    prove_acceptance(receipt.attempt_id, receipt.provider_id, now_ms)
    receipt.applied, receipt.delivery_id = True, delivery.id
    attempt = receipts.attempt_for(receipt.provider_id, receipt.attempt_id)
    if attempt is not None:
        heed_code(attempt.id, receipt.error_code, now_ms)


def heed_code(attempt_id: str, code: str, now_ms: int) -> None:
    """What a code says of the number itself: its owner said STOP, or nobody can be reached there.

    Inside a transaction, after the delivery's and the attempt's own rows are written.
    """
    attempt = db.session.get_one(Attempt, attempt_id)
    if not code or attempt.mode in SIMULATED_MODES:
        return
    if code == OPTED_OUT:
        note_late_stop(attempt.delivery_id, attempt_id, now_ms)
    elif explain(code).number_is_dead:
        note_unreachable(db.session.get_one(Delivery, attempt.delivery_id), attempt_id, code, now_ms)


def prove_acceptance(attempt_id: str, provider_id: str, now_ms: int) -> None:
    """Evidence that the attempt was accepted, whatever we heard of it. Inside a transaction."""
    query = update(Attempt).where(Attempt.id == attempt_id, Attempt.provider_id.is_(None))
    db.session.execute(query.values(outcome="accepted", provider_id=provider_id, finished_at_ms=now_ms))


def advance_by_evidence(delivery: Delivery, provider_id: str, status: str, error_code: str, now_ms: int) -> None:
    """What Twilio's own list or a fetch says, applied as a receipt would be. Inside a transaction."""
    to = state_for_receipt(status, error_code) or "accepted"
    claims.advance(delivery.id, "accepted", now_ms, provider_id=provider_id)
    claims.advance(delivery.id, to, now_ms, provider_id=provider_id, error_code=error_code)
    if delivery.attempt_id:
        heed_code(delivery.attempt_id, error_code, now_ms)

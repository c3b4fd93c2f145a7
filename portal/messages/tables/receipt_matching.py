"""Stored status callbacks, and the attempt each belongs to."""

from collections.abc import Sequence
from typing import cast

from sqlalchemy import Table, bindparam, select, update

from portal.core.extensions import db
from portal.core.rules.delivery_status import DeliveryState
from portal.messages.tables.communications import Attempt, Communication, Delivery, Receipt

# Built once: composing a statement costs more than running it, and receipts arrive by the hundred.
_ATTEMPTS_BY_ID = select(Attempt).where(Attempt.id.in_(bindparam("ids", expanding=True)))
_IS_UNAPPLIED = Receipt.applied == False, Receipt.provider_id.in_(bindparam("ids", expanding=True))  # noqa: E712
_UNAPPLIED_RECEIPTS = select(Receipt).where(*_IS_UNAPPLIED).order_by(Receipt.id)


def attempts_for(receipts: Sequence[Receipt]) -> dict[int, Attempt]:
    """Receipt id to its attempt, by the attempt id in the callback URL, else by Twilio’s id. Orphans are missing."""
    ids = {"ids": list({receipt.attempt_id for receipt in receipts if receipt.attempt_id})}
    by_id = {attempt.id: attempt for attempt in db.session.scalars(_ATTEMPTS_BY_ID, ids)}
    unmatched = {receipt.provider_id for receipt in receipts if receipt.attempt_id not in by_id}
    by_provider_id: dict[str | None, Attempt] = {}
    if unmatched:
        query = select(Attempt).where(Attempt.provider_id.in_(unmatched))
        by_provider_id = {attempt.provider_id: attempt for attempt in db.session.scalars(query)}
    attempts = {item.id: by_id.get(item.attempt_id) or by_provider_id.get(item.provider_id) for item in receipts}
    return {receipt_id: attempt for receipt_id, attempt in attempts.items() if attempt is not None}


def last_texts_all_ended_with(delivery: Delivery, code: str, times: int, since_ms: int) -> bool:
    """Whether the account’s last `times` texts to this phone all ended with that code."""
    query = (
        select(Delivery.error_code)
        .join(Communication, Communication.id == Delivery.communication_id)
        .join(Attempt, Attempt.id == Delivery.attempt_id)
        .where(Communication.account_id == delivery.communication.account_id, Communication.created_at_ms >= since_ms)
        .where(Delivery.channel == "sms", Delivery.address == delivery.address, Attempt.destination == delivery.address)
        .where(Delivery.state.in_((DeliveryState.DELIVERED, DeliveryState.UNDELIVERED, DeliveryState.FAILED)))
        .order_by(Communication.id.desc())
        .limit(times)
    )
    return list(db.session.scalars(query)) == [code] * times


def orphaned_receipts(since_ms: int, limit: int) -> list[Receipt]:
    """Newest first, and only recent ones, so that receipts of foreign messages never block ours."""
    query = select(Receipt).where(Receipt.applied == False, Receipt.received_at_ms >= since_ms)  # noqa: E712
    return list(db.session.scalars(query.order_by(Receipt.id.desc()).limit(limit)))


_RECEIPT = cast(Table, Receipt.__table__)
_MARK_APPLIED = update(_RECEIPT).where(_RECEIPT.c.id == bindparam("b_receipt"))
_MARK_APPLIED = _MARK_APPLIED.values(applied=True, delivery_id=bindparam("b_delivery"))


def mark_receipts_applied(pairs: Sequence[tuple[int, int]]) -> None:
    """Link receipt ids to delivery ids. Inside a transaction."""
    rows = [{"b_receipt": receipt_id, "b_delivery": delivery_id} for receipt_id, delivery_id in pairs]
    if rows:
        db.session.connection().execute(_MARK_APPLIED, rows)


def unapplied_receipts(provider_ids: Sequence[str]) -> list[Receipt]:
    """Receipts of these messages that are not applied yet, in order of arrival."""
    return list(db.session.scalars(_UNAPPLIED_RECEIPTS, {"ids": list(set(provider_ids))}))

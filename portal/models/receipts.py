"""Status callbacks as they came, and the attempt each belongs to."""

from collections.abc import Sequence

from sqlalchemy import select

from portal.extensions import db
from portal.models.communication import Attempt, Receipt


def attempts_for(found: Sequence[Receipt]) -> dict[int, Attempt]:
    """Receipt id to its attempt, by the id that the callback's address carries, else by Twilio's; none for orphans."""
    wanted = Attempt.id.in_({receipt.attempt_id for receipt in found if receipt.attempt_id})
    by_id = {attempt.id: attempt for attempt in db.session.scalars(select(Attempt).where(wanted))}
    unnamed = {receipt.provider_id for receipt in found if receipt.attempt_id not in by_id}
    by_sid: dict[str | None, Attempt] = {}
    if unnamed:
        query = select(Attempt).where(Attempt.provider_id.in_(unnamed))
        by_sid = {attempt.provider_id: attempt for attempt in db.session.scalars(query)}
    pairs = [(receipt.id, by_id.get(receipt.attempt_id) or by_sid.get(receipt.provider_id)) for receipt in found]
    return {receipt_id: attempt for receipt_id, attempt in pairs if attempt is not None}


def orphans(since_ms: int, limit: int) -> list[Receipt]:
    """Newest first and none that is old: messages that are not ours must not stand before ours for ever."""
    query = select(Receipt).where(Receipt.applied == False, Receipt.received_at_ms >= since_ms)  # noqa: E712  SQL
    return list(db.session.scalars(query.order_by(Receipt.id.desc()).limit(limit)))


def unapplied(provider_ids: Sequence[str]) -> list[Receipt]:
    """What has come of these messages and is not applied yet, in order of arrival."""
    query = select(Receipt).where(Receipt.applied == False, Receipt.provider_id.in_(set(provider_ids)))  # noqa: E712
    return list(db.session.scalars(query.order_by(Receipt.id)))

"""Status callbacks as they came, and the delivery each belongs to."""

from sqlalchemy import select

from portal.extensions import db
from portal.models.communication import Attempt, Delivery, Receipt


def delivery_for(provider_id: str, attempt_id: str) -> Delivery | None:
    """That of the attempt; None while it is not known."""
    attempt = attempt_for(provider_id, attempt_id)
    return db.session.get(Delivery, attempt.delivery_id) if attempt else None


def attempt_for(provider_id: str, attempt_id: str) -> Attempt | None:
    """By the id that the callback's address carries, else by Twilio's."""
    attempt = db.session.get(Attempt, attempt_id) if attempt_id else None
    return attempt or db.session.scalar(select(Attempt).where(Attempt.provider_id == provider_id))


def orphans(since_ms: int, limit: int) -> list[Receipt]:
    """Newest first and none that is old: messages that are not ours must not stand before ours for ever."""
    query = select(Receipt).where(Receipt.applied == False, Receipt.received_at_ms >= since_ms)  # noqa: E712  SQL
    return list(db.session.scalars(query.order_by(Receipt.id.desc()).limit(limit)))


def stored(provider_id: str, status: str, error_code: str) -> Receipt | None:
    return db.session.scalar(
        select(Receipt).where(
            Receipt.provider_id == provider_id, Receipt.status == status, Receipt.error_code == error_code
        )
    )

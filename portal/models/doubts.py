"""Deliveries that evidence must settle: unknown outcomes, and receipts that never came."""

from sqlalchemy import select

from portal.extensions import db
from portal.models.communication import Attempt, Delivery


def unknown(channel: str, due_ms: int, limit: int) -> list[Delivery]:
    query = select(Delivery).where(
        Delivery.channel == channel, Delivery.state == "unknown", Delivery.next_at_ms <= due_ms
    )
    return list(db.session.scalars(query.order_by(Delivery.next_at_ms).limit(limit)))


def without_receipt(due_ms: int, limit: int) -> list[Delivery]:
    """Accepted texts whose next look at Twilio is due."""
    query = select(Delivery).where(
        Delivery.channel == "sms",
        Delivery.state.in_(("accepted", "sent")),
        Delivery.next_at_ms <= due_ms,
        Delivery.provider_id.is_not(None),
    )
    return list(db.session.scalars(query.order_by(Delivery.next_at_ms).limit(limit)))


def attempt_of(delivery: Delivery) -> Attempt:
    """The attempt under way, whose outcome is in doubt."""
    return db.session.get_one(Attempt, delivery.attempt_id)


def provider_ids_taken(provider_ids: list[str]) -> set[str]:
    query = select(Attempt.provider_id).where(Attempt.provider_id.in_(provider_ids))
    return {found for found in db.session.scalars(query) if found}

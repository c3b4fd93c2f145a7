"""Queries about lanes in which nothing moves."""

from sqlalchemy import select

from portal.core.extensions import db
from portal.core.rules.delivery_status import DeliveryState
from portal.messages.tables.communications import Attempt, Delivery


def has_due_since(channel: str, lane: int, before_ms: int) -> bool:
    """Whether a message of the lane became due before then and is still ready."""
    due = (Delivery.channel == channel, Delivery.state == DeliveryState.READY, Delivery.lane == lane)
    query = select(Delivery.id).where(*due, Delivery.due_at_ms <= before_ms)
    return db.session.scalar(query.order_by(Delivery.due_at_ms).limit(1)) is not None


def has_attempt_since(channel: str, lane: int, since_ms: int) -> bool:
    """Whether a message of the lane was tried since then, the newest attempts first."""
    query = select(Attempt.id).join(Delivery, Delivery.id == Attempt.delivery_id)
    query = query.where(Attempt.slot_at_ms > since_ms, Delivery.channel == channel, Delivery.lane == lane)
    return db.session.scalar(query.order_by(Attempt.slot_at_ms.desc()).limit(1)) is not None

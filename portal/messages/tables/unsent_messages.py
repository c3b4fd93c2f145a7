"""Messages that are ready to be sent."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, text, update

from portal.core.extensions import db
from portal.core.rules.delivery_status import DeliveryState
from portal.core.rules.lanes import Lane
from portal.core.statements import updated_count
from portal.messages.tables.communications import Delivery

LANES = tuple(Lane)
"""Named in queries so that they use all columns of the index on channel, state, lane and time."""
READY = text("delivery.state = 'ready'")
"""A literal, so that both databases can use the partial index on queue positions, which holds ready messages only."""


def next_due_ms(channel: str, lanes: Sequence[int] = LANES) -> int | None:
    """When the next message of a channel is due; None if none is waiting."""
    due_times = [_first_due_ms(channel, lane) for lane in lanes]
    return min((due_ms for due_ms in due_times if due_ms is not None), default=None)


def _first_due_ms(channel: str, lane: int) -> int | None:
    """One index lookup for each lane, however many messages wait."""
    query = select(Delivery.due_at_ms).where(
        Delivery.channel == channel, Delivery.state == DeliveryState.READY, Delivery.lane == lane
    )
    return db.session.scalar(query.order_by(Delivery.due_at_ms).limit(1))


def postpone(delivery_ids: Sequence[int], until_ms: int, **changes: Any) -> None:
    query = update(Delivery).where(Delivery.id.in_(delivery_ids), Delivery.state == DeliveryState.READY)
    updated_count(query.values(due_at_ms=until_ms, **changes))


def change_text(delivery_id: int, body: str, segments: int) -> None:
    """Before its first attempt: what an attempt sends stays as it was."""
    query = update(Delivery).where(Delivery.id == delivery_id, Delivery.state == DeliveryState.READY)
    updated_count(query.values(body=body, segments=segments))


def retry_emails_now(now_ms: int) -> None:
    """Retry waiting emails at once when the mail server is back. Inside a transaction."""
    waiting = (Delivery.channel == "email", READY, Delivery.lane.in_(LANES))
    query = update(Delivery).where(*waiting, Delivery.due_at_ms > now_ms)
    db.session.execute(query.values(due_at_ms=now_ms))

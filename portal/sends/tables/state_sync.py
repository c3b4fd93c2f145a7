"""Bring the messages of a paused, resumed or canceled send into its state, in batches: by id, as they were queued."""

from typing import Any

from sqlalchemy import exists, or_, select

from portal.core.extensions import db
from portal.core.rules.delivery_status import DeliveryState
from portal.messages.tables import transitions
from portal.messages.tables.communications import Delivery
from portal.messages.tables.transitions import DELIVERY_CHANNELS
from portal.messages.tables.unsent_messages import LANES
from portal.sends.rules.send_state import SendState
from portal.sends.tables.sends import Send

CHUNK_SIZE = 1_000
ANY_TIME_MS = 2**53


def move_deliveries(
    send_id: int, channel: str, state: str, target: str, now_ms: int, due_ms: int = ANY_TIME_MS, **changes: Any
) -> int:
    """Move up to a chunk of the due messages, next first, and return the count. Inside a transaction."""
    query = _next_query(select(Delivery.id), send_id, channel, state, due_ms)
    ids = list(db.session.scalars(query.limit(CHUNK_SIZE).with_for_update(skip_locked=True)))
    return transitions.follow_send(ids, target, now_ms, state, **changes)


def next_delivery(send_id: int, channel: str, state: str, due_ms: int = ANY_TIME_MS) -> tuple[int, int] | None:
    """The id and queue position of the send's next due message in that state."""
    query = _next_query(select(Delivery.id, Delivery.queue_position), send_id, channel, state, due_ms)
    row = db.session.execute(query.limit(1)).first()
    return None if row is None else (row.id, row.queue_position)


def _next_query(query: Any, send_id: int, channel: str, state: str, due_ms: int) -> Any:
    conditions = (Delivery.send_id == send_id, Delivery.channel == channel, Delivery.state == state)
    return query.where(*conditions, Delivery.due_at_ms <= due_ms).order_by(Delivery.id)


def last_ready_position(send_id: int, channel: str, before_id: int | None = None) -> int:
    """The queue position of the send's last ready message (before `before_id`); 0 if there is none."""
    query = select(Delivery.queue_position).where(
        Delivery.send_id == send_id, Delivery.channel == channel, Delivery.state == DeliveryState.READY
    )
    if before_id is not None:
        query = query.where(Delivery.id < before_id)
    return db.session.scalar(query.order_by(Delivery.id.desc()).limit(1)) or 0


def send_ids_with_deferred_texts(due_ms: int) -> list[int]:
    """Sends with deferred texts whose quiet hours end by `due_ms`."""
    is_deferred = (Delivery.channel == "sms", Delivery.state == DeliveryState.DEFERRED)
    query = select(Delivery.send_id).where(*is_deferred, Delivery.lane.in_(LANES), Delivery.due_at_ms <= due_ms)
    return [send_id for send_id in db.session.scalars(query.distinct()) if send_id is not None]


def out_of_sync_send_ids() -> list[int]:
    """Sends whose messages are not in the send's state, because a worker died half-way."""
    messages = exists().where(Delivery.send_id == Send.id, Delivery.channel.in_(DELIVERY_CHANNELS))
    has_paused = messages.where(Delivery.state == DeliveryState.PAUSED)
    has_ready = messages.where(Delivery.state.in_((DeliveryState.READY, DeliveryState.DEFERRED)))
    is_out_of_sync = or_(
        (Send.state == SendState.CANCELED) & (Send.cancel_applied_at_ms.is_(None)),
        Send.paused_at_ms.is_not(None) & has_ready,
        Send.paused_at_ms.is_(None) & (Send.state.in_((SendState.SENDING, SendState.FANNING_OUT))) & has_paused,
    )
    return list(db.session.scalars(select(Send.id).where(Send.state != SendState.DONE, is_out_of_sync)))

"""Moving the messages of a send that was paused, resumed or cancelled, a part at a time.

A send's messages were made in the order of their turns, so that the order of their ids is that order too.
"""

from typing import Any, cast

from sqlalchemy import CursorResult, exists, or_, select, update

from portal.core.extensions import db
from portal.core.rules.delivery_status import DeliveryState
from portal.messages.tables.communications import Delivery
from portal.messages.tables.unsent_messages import LANES
from portal.sends.tables.sends import Send

CHUNK = 1_000
ANY_TIME_MS = 2**53


def move_deliveries(
    send_id: int, channel: str, state: str, to: str, now_ms: int, due_ms: int = ANY_TIME_MS, **changes: Any
) -> int:
    """Move up to a chunk of the send's messages that are due, the next first; how many. Inside a transaction."""
    some = _next_query(select(Delivery.id), send_id, channel, state, due_ms)
    ids = list(db.session.scalars(some.limit(CHUNK).with_for_update(skip_locked=True)))
    query = update(Delivery).where(Delivery.id.in_(ids), Delivery.state == state)
    result = db.session.execute(
        query.values(state=to, state_changed_at_ms=now_ms, **changes), execution_options={"synchronize_session": False}
    )
    return cast(CursorResult[Any], result).rowcount


def next_delivery(send_id: int, channel: str, state: str, due_ms: int = ANY_TIME_MS) -> tuple[int, int] | None:
    """The id and the turn of the send's next message in that state that is due."""
    query = _next_query(select(Delivery.id, Delivery.queue_position), send_id, channel, state, due_ms)
    found = db.session.execute(query.limit(1)).first()
    return None if found is None else (found.id, found.queue_position)


def _next_query(query: Any, send_id: int, channel: str, state: str, due_ms: int) -> Any:
    of_send = (Delivery.send_id == send_id, Delivery.channel == channel, Delivery.state == state)
    return query.where(*of_send, Delivery.due_at_ms <= due_ms).order_by(Delivery.id)


def last_ready_position(send_id: int, channel: str, before_id: int | None = None) -> int:
    """The turn of the send's last message that waits, or of the last one before another; 0 when there is none."""
    query = select(Delivery.queue_position).where(
        Delivery.send_id == send_id, Delivery.channel == channel, Delivery.state == DeliveryState.READY
    )
    if before_id is not None:
        query = query.where(Delivery.id < before_id)
    return db.session.scalar(query.order_by(Delivery.id.desc()).limit(1)) or 0


def send_ids_with_deferred_texts(due_ms: int) -> list[int]:
    """Sends of which texts wait for the end of quiet hours that is due."""
    query = select(Delivery.send_id).where(
        Delivery.channel == "sms",
        Delivery.state == DeliveryState.DEFERRED,
        Delivery.lane.in_(LANES),
        Delivery.due_at_ms <= due_ms,
    )
    return [send_id for send_id in db.session.scalars(query.distinct()) if send_id is not None]


def out_of_sync_send_ids() -> list[int]:
    """Sends whose messages are not where the send's own condition wants them: a worker died half-way."""
    paused = exists().where(
        Delivery.send_id == Send.id, Delivery.channel.in_(("email", "sms")), Delivery.state == "paused"
    )
    ready = exists().where(
        Delivery.send_id == Send.id, Delivery.channel.in_(("email", "sms")), Delivery.state.in_(("ready", "deferred"))
    )
    wrong = or_(
        (Send.state == "canceled") & (Send.cancel_applied_at_ms.is_(None)),
        Send.paused_at_ms.is_not(None) & ready,
        Send.paused_at_ms.is_(None) & (Send.state.in_(("sending", "fanning_out"))) & paused,
    )
    return list(db.session.scalars(select(Send.id).where(Send.state != "done", wrong)))

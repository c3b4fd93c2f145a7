"""Moving the messages of a send that was paused, resumed or cancelled, a part at a time.

A send's messages were made in the order of their turns, so that the order of their ids is that order too.
"""

from typing import Any, cast

from sqlalchemy import CursorResult, exists, or_, select, update

from portal.extensions import db
from portal.models.communication import Delivery
from portal.models.send import Send

CHUNK = 1_000


def move(send_id: int, channel: str, state: str, to: str, now_ms: int, **changes: Any) -> int:
    """Move up to a chunk of the send's messages, the next first; how many were moved. Inside a transaction."""
    some = (
        select(Delivery.id)
        .where(Delivery.send_id == send_id, Delivery.channel == channel, Delivery.state == state)
        .order_by(Delivery.id)
        .limit(CHUNK)
        .with_for_update(skip_locked=True)
    )
    ids = list(db.session.scalars(some))
    query = update(Delivery).where(Delivery.id.in_(ids), Delivery.state == state)
    result = db.session.execute(
        query.values(state=to, state_at_ms=now_ms, **changes), execution_options={"synchronize_session": False}
    )
    return cast(CursorResult[Any], result).rowcount


def first_held(send_id: int, channel: str) -> tuple[int, int] | None:
    """The id and the turn of the next message that stands still."""
    query = select(Delivery.id, Delivery.turn).where(
        Delivery.send_id == send_id, Delivery.channel == channel, Delivery.state == "held"
    )
    found = db.session.execute(query.order_by(Delivery.id).limit(1)).first()
    return None if found is None else (found.id, found.turn)


def last_ready_turn(send_id: int, channel: str, before_id: int | None = None) -> int:
    """The turn of the send's last message that waits, or of the last one before another; 0 when there is none."""
    query = select(Delivery.turn).where(
        Delivery.send_id == send_id, Delivery.channel == channel, Delivery.state == "ready"
    )
    if before_id is not None:
        query = query.where(Delivery.id < before_id)
    return db.session.scalar(query.order_by(Delivery.id.desc()).limit(1)) or 0


def unsteered_ids() -> list[int]:
    """Sends whose messages are not where the send's own condition wants them: a worker died half-way."""
    held = exists().where(Delivery.send_id == Send.id, Delivery.channel.in_(("email", "sms")), Delivery.state == "held")
    ready = exists().where(
        Delivery.send_id == Send.id, Delivery.channel.in_(("email", "sms")), Delivery.state == "ready"
    )
    wrong = or_(
        (Send.state == "canceled") & (Send.steered_at_ms.is_(None)),
        Send.paused_at_ms.is_not(None) & ready,
        Send.paused_at_ms.is_(None) & (Send.state.in_(("sending", "expanding"))) & held,
    )
    return list(db.session.scalars(select(Send.id).where(Send.state != "done", wrong)))

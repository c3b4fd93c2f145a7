"""Moving the messages of a send that was paused, resumed or cancelled, a part at a time."""

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import CursorResult, exists, func, or_, select, update

from portal.extensions import db
from portal.models.communication import Delivery
from portal.models.send import Send

CHUNK = 1_000


def move(send_id: int, channel: str, states: Sequence[str], to: str, now_ms: int, **changes: Any) -> int:
    """Move up to a chunk of the send's messages from these states; how many were moved. Inside a transaction."""
    some = (
        select(Delivery.id)
        .where(Delivery.send_id == send_id, Delivery.channel == channel, Delivery.state.in_(states))
        .order_by(Delivery.turn, Delivery.id)
        .limit(CHUNK)
        .with_for_update(skip_locked=True)
    )
    ids = list(db.session.scalars(some))
    query = update(Delivery).where(Delivery.id.in_(ids), Delivery.state.in_(states))
    result = db.session.execute(
        query.values(state=to, state_at_ms=now_ms, **changes), execution_options={"synchronize_session": False}
    )
    return cast(CursorResult[Any], result).rowcount


def first_held_turn(send_id: int, channel: str) -> int | None:
    query = select(func.min(Delivery.turn)).where(
        Delivery.send_id == send_id, Delivery.channel == channel, Delivery.state == "held"
    )
    return db.session.scalar(query)


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

"""Messages that wait for their turn."""

from collections.abc import Sequence

from sqlalchemy import select, text

from portal.core.extensions import db
from portal.core.rules.delivery_status import DeliveryState
from portal.core.rules.lanes import Lane
from portal.messages.tables.communications import Delivery

LANES = tuple(Lane)
"""Named in queries so that the index on channel, state, lane and time is used to its end."""


READY = text("delivery.state = 'ready'")
"""Written out, so that both databases see that the index on turns, which holds ready messages only, will do."""


def next_due_ms(channel: str, lanes: Sequence[int] = LANES) -> int | None:
    """When the next message of a channel may leave; None when none waits."""
    waiting = [_first_due_ms(channel, lane) for lane in lanes]
    return min((moment for moment in waiting if moment is not None), default=None)


def _first_due_ms(channel: str, lane: int) -> int | None:
    """One step into the index for each lane, however many wait."""
    query = select(Delivery.due_at_ms).where(
        Delivery.channel == channel, Delivery.state == DeliveryState.READY, Delivery.lane == lane
    )
    return db.session.scalar(query.order_by(Delivery.due_at_ms).limit(1))

"""What a clock that was ahead has written: times that have not come yet, and would be waited for in vain."""

from typing import Any

from sqlalchemy import delete, func, select, update

from portal.domain.quotas import LONGEST_MS
from portal.extensions import db
from portal.models.communication import Attempt, Delivery
from portal.models.gateway import Heartbeat, Sender
from portal.models.mail_server import MailServer

_CHUNK = 1_000
_SURELY_MS = 30_000
"""What lies no further ahead is of the present: a slot that was just given, a worker whose text is under way."""
_FAR_MS = 7 * 86_400_000
"""Beyond that a time is a sign that nothing is waited for."""


def furthest_ms() -> int:
    """The latest moment at which anything happened, as the rows have it: a slot, or a sign of life."""
    slot_ms = db.session.scalar(select(func.max(Attempt.slot_at_ms))) or 0
    beat_ms = db.session.scalar(select(func.max(Heartbeat.at_ms))) or 0
    return max(slot_ms, beat_ms)


def put_attempts_right(by_ms: int, now_ms: int) -> None:
    """And what rests until such a time, and signs of life that would last too long. Inside a transaction."""
    times = ("started_at_ms", "slot_at_ms", "lease_until_ms", "finished_at_ms")
    earlier = {name: getattr(Attempt, name) - by_ms for name in times}
    _change(update(Attempt).where(Attempt.slot_at_ms > now_ms + _SURELY_MS).values(**earlier))
    _change(delete(Heartbeat).where(Heartbeat.at_ms > now_ms + _SURELY_MS))
    _change(update(Sender).where(Sender.rests_until_us > now_ms * 1000).values(rests_until_us=0))
    _change(update(Sender).where(Sender.limit_until_ms > now_ms + LONGEST_MS).values(limit_until_ms=0))
    _change(update(MailServer).where(MailServer.rests_until_ms > now_ms).values(rests_until_ms=0))


def put_some_right(by_ms: int, now_ms: int, after_id: int) -> tuple[int, int]:
    """A part of the messages that changed ahead of time: the last id and how many. Inside a transaction."""
    some = select(Delivery.id).where(Delivery.state_at_ms > now_ms + _SURELY_MS, Delivery.id > after_id)
    ids = list(db.session.scalars(some.order_by(Delivery.id).limit(_CHUNK)))
    earlier: dict[str, Any] = {"state_at_ms": Delivery.state_at_ms - by_ms}
    _change(update(Delivery).where(Delivery.id.in_(ids)).values(**earlier))
    for name in ("next_at_ms", "lease_until_ms"):
        time = getattr(Delivery, name)
        # hours that were told by a clock on the wall, the end of a night, stay what they are
        waits = Delivery.id.in_(ids), Delivery.state != "quiet", time > now_ms, time <= now_ms + by_ms + _FAR_MS
        _change(update(Delivery).where(*waits).values({name: time - by_ms}))
    return (ids[-1] if ids else after_id), len(ids)


def _change(statement: Any) -> None:
    db.session.execute(statement, execution_options={"synchronize_session": False})

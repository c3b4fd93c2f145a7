"""What a clock that was ahead has written: times that have not come yet, and would be waited for in vain."""

from typing import Any

from sqlalchemy import delete, func, select, update

from portal.core.extensions import db
from portal.core.process_tables import Heartbeat
from portal.core.rules.delivery_status import DeliveryState
from portal.delivery.rules.provider_quotas import MAX_COOLDOWN_MS
from portal.delivery.tables.mail_server import MailServer
from portal.messages.tables.communications import Attempt, Delivery
from portal.settings.tables.sending_numbers import SendingNumber

_CHUNK = 1_000
_TOLERANCE_MS = 30_000
"""What lies no further ahead is of the present: a slot that was just given, a worker whose text is under way."""
_MAX_FUTURE_MS = 7 * 86_400_000
"""Beyond that a time is a sign that nothing is waited for."""


def latest_recorded_ms() -> int:
    """The latest moment at which anything happened, as the rows have it: a slot, or a sign of life."""
    slot_ms = db.session.scalar(select(func.max(Attempt.slot_at_ms))) or 0
    beat_ms = db.session.scalar(select(func.max(Heartbeat.at_ms))) or 0
    return max(slot_ms, beat_ms)


def shift_attempts_back(by_ms: int, now_ms: int) -> None:
    """And what rests until such a time, and signs of life that would last too long. Inside a transaction."""
    times = ("started_at_ms", "slot_at_ms", "lease_until_ms", "finished_at_ms")
    earlier = {name: getattr(Attempt, name) - by_ms for name in times}
    _execute(update(Attempt).where(Attempt.slot_at_ms > now_ms + _TOLERANCE_MS).values(**earlier))
    _execute(delete(Heartbeat).where(Heartbeat.at_ms > now_ms + _TOLERANCE_MS))
    _execute(update(SendingNumber).where(SendingNumber.retry_at_us > now_ms * 1000).values(retry_at_us=0))
    _execute(
        update(SendingNumber)
        .where(SendingNumber.limit_resets_at_ms > now_ms + MAX_COOLDOWN_MS)
        .values(limit_resets_at_ms=0)
    )
    _execute(update(MailServer).where(MailServer.retry_at_ms > now_ms).values(retry_at_ms=0))


def shift_deliveries_back(by_ms: int, now_ms: int, after_id: int) -> tuple[int, int]:
    """A part of the messages that changed ahead of time: the last id and how many. Inside a transaction."""
    some = select(Delivery.id).where(Delivery.state_changed_at_ms > now_ms + _TOLERANCE_MS, Delivery.id > after_id)
    ids = list(db.session.scalars(some.order_by(Delivery.id).limit(_CHUNK)))
    earlier: dict[str, Any] = {"state_changed_at_ms": Delivery.state_changed_at_ms - by_ms}
    _execute(update(Delivery).where(Delivery.id.in_(ids)).values(**earlier))
    for name in ("due_at_ms", "lease_until_ms"):
        time = getattr(Delivery, name)
        # hours that were told by a clock on the wall, the end of a night, stay what they are
        waits = (
            Delivery.id.in_(ids),
            Delivery.state != DeliveryState.DEFERRED,
            time > now_ms,
            time <= now_ms + by_ms + _MAX_FUTURE_MS,
        )
        _execute(update(Delivery).where(*waits).values({name: time - by_ms}))
    return (ids[-1] if ids else after_id), len(ids)


def _execute(statement: Any) -> None:
    db.session.execute(statement, execution_options={"synchronize_session": False})

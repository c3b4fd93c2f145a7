"""Correct future timestamps written while a clock was ahead: nothing must wait for them."""

from typing import Any

from sqlalchemy import delete, func, select, update

from portal.core.coordination import Heartbeat
from portal.core.extensions import db
from portal.core.rules.delivery_status import DeliveryState
from portal.delivery.rules.provider_quotas import MAX_COOLDOWN_MS
from portal.delivery.tables.mail_server import MailServer
from portal.messages.tables.communications import Attempt, Delivery
from portal.settings.tables.sending_numbers import SendingNumber

_CHUNK = 1_000
_TOLERANCE_MS = 30_000
"""Times up to this far ahead are normal: a slot just assigned, or a worker whose text is in flight."""
_MAX_FUTURE_MS = 7 * 86_400_000
"""A time further ahead means “never”."""


def latest_recorded_ms() -> int:
    """The latest slot or heartbeat in the database."""
    slot_ms = db.session.scalar(select(func.max(Attempt.slot_at_ms))) or 0
    heartbeat_ms = db.session.scalar(select(func.max(Heartbeat.at_ms))) or 0
    return max(slot_ms, heartbeat_ms)


def shift_attempts_back(by_ms: int, now_ms: int) -> None:
    """Also reset retry times and heartbeats that would last too long. Inside a transaction."""
    times = ("started_at_ms", "slot_at_ms", "lease_until_ms", "finished_at_ms")
    earlier = {name: getattr(Attempt, name) - by_ms for name in times}
    _execute(update(Attempt).where(Attempt.slot_at_ms > now_ms + _TOLERANCE_MS).values(**earlier))
    _execute(delete(Heartbeat).where(Heartbeat.at_ms > now_ms + _TOLERANCE_MS))
    _execute(update(SendingNumber).where(SendingNumber.retry_at_us > now_ms * 1000).values(retry_at_us=0))
    is_too_long = SendingNumber.limit_resets_at_ms > now_ms + MAX_COOLDOWN_MS
    _execute(update(SendingNumber).where(is_too_long).values(limit_resets_at_ms=0))
    _execute(update(MailServer).where(MailServer.retry_at_ms > now_ms).values(retry_at_ms=0))


def shift_deliveries_back(by_ms: int, now_ms: int, after_id: int) -> tuple[int, int]:
    """Shift one chunk of deliveries changed in the future; return its last id and size. Inside a transaction."""
    chunk = select(Delivery.id).where(Delivery.state_changed_at_ms > now_ms + _TOLERANCE_MS, Delivery.id > after_id)
    ids = list(db.session.scalars(chunk.order_by(Delivery.id).limit(_CHUNK)))
    earlier: dict[str, Any] = {"state_changed_at_ms": Delivery.state_changed_at_ms - by_ms}
    _execute(update(Delivery).where(Delivery.id.in_(ids)).values(**earlier))
    # quiet hours end by the wall clock, so deferred texts keep their time
    in_chunk = (Delivery.id.in_(ids), Delivery.state != DeliveryState.DEFERRED)
    for name in ("due_at_ms", "lease_until_ms"):
        time = getattr(Delivery, name)
        in_future = (time > now_ms, time <= now_ms + by_ms + _MAX_FUTURE_MS)
        _execute(update(Delivery).where(*in_chunk, *in_future).values({name: time - by_ms}))
    return (ids[-1] if ids else after_id), len(ids)


def _execute(statement: Any) -> None:
    db.session.execute(statement, execution_options={"synchronize_session": False})

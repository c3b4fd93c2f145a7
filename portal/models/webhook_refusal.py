"""Calls to the webhooks that were refused for their signature: counters, a row for each door and cause, never a call.

Anybody can call, so what is kept must not grow with the calls.
"""

from sqlalchemy import Text, select, update
from sqlalchemy.orm import Mapped, mapped_column

from portal.extensions import Base, db
from portal.models.communication import Receipt
from portal.models.inbound import InboundMessage
from portal.models.types import STRICT, Flag, Key, Millis
from portal.models.upsert import insert_new


class WebhookRefusal(Base):
    """`ours`: the calls name what Twilio alone can know. `detail` is the address last called, where that is proven."""

    __tablename__ = "webhook_refusal"
    __table_args__ = (STRICT,)

    door: Mapped[str] = mapped_column(Text, primary_key=True)
    cause: Mapped[str] = mapped_column(Text, primary_key=True)
    ours: Mapped[bool] = mapped_column(Flag, primary_key=True)
    calls: Mapped[int] = mapped_column(Key, default=0)
    detail: Mapped[str] = mapped_column(Text, default="")
    last_at_ms: Mapped[int] = mapped_column(Millis, default=0)


def count_refused(door: str, cause: str, ours: bool, detail: str, calls: int, now_ms: int) -> None:
    """Inside a transaction."""
    key = {"door": door, "cause": cause, "ours": ours}
    insert_new(WebhookRefusal, [{**key, "calls": 0, "detail": "", "last_at_ms": 0}], list(key))
    query = update(WebhookRefusal).filter_by(**key)
    db.session.execute(query.values(calls=WebhookRefusal.calls + calls, detail=detail, last_at_ms=now_ms))


def all_refused(only_ours: bool = False) -> list[WebhookRefusal]:
    query = select(WebhookRefusal).order_by(WebhookRefusal.door, WebhookRefusal.cause, WebhookRefusal.ours.desc())
    if only_ours:
        query = query.where(WebhookRefusal.ours == True)  # noqa: E712  SQL, not Python
    return list(db.session.scalars(query))


def believed_ms(door: str) -> int:
    """When something new last came in by this webhook with a right signature; 0 when never."""
    if door == "status":
        return db.session.scalar(select(Receipt.received_at_ms).order_by(Receipt.id.desc()).limit(1)) or 0
    if door == "inbound":
        query = select(InboundMessage.received_at_ms).where(InboundMessage.heard == "webhook")
        return db.session.scalar(query.order_by(InboundMessage.id.desc()).limit(1)) or 0
    return 0

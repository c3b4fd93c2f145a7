"""Counters of webhook calls rejected for their signature: a row per webhook and cause, no row per call.

Anybody can call, so what is kept must not grow with the request_count.
"""

from sqlalchemy import Text, select, update
from sqlalchemy.orm import Mapped, mapped_column

from portal.consent.tables.inbound_messages import InboundMessage
from portal.core.column_types import STRICT, BigIntKey, Flag, Millis
from portal.core.extensions import Base, db
from portal.core.statements import insert_missing
from portal.messages.tables.communications import Receipt


class RejectedWebhook(Base):
    """`identifies_us`: the calls name something only Twilio can know. `address` is the URL last called, if proven."""

    __tablename__ = "rejected_webhook"
    __table_args__ = (STRICT,)

    webhook: Mapped[str] = mapped_column(Text, primary_key=True)
    cause: Mapped[str] = mapped_column(Text, primary_key=True)
    identifies_us: Mapped[bool] = mapped_column(Flag, primary_key=True)
    request_count: Mapped[int] = mapped_column(BigIntKey, default=0)
    address: Mapped[str] = mapped_column(Text, default="")
    last_seen_at_ms: Mapped[int] = mapped_column(Millis, default=0)


def count_rejected(door: str, cause: str, ours: bool, detail: str, calls: int, now_ms: int) -> None:
    """Inside a transaction."""
    key = {"webhook": door, "cause": cause, "identifies_us": ours}
    insert_missing(RejectedWebhook, [{**key, "request_count": 0, "address": "", "last_seen_at_ms": 0}], list(key))
    query = update(RejectedWebhook).filter_by(**key)
    db.session.execute(
        query.values(request_count=RejectedWebhook.request_count + calls, address=detail, last_seen_at_ms=now_ms)
    )


def all_rejected(only_ours: bool = False) -> list[RejectedWebhook]:
    query = select(RejectedWebhook).order_by(
        RejectedWebhook.webhook, RejectedWebhook.cause, RejectedWebhook.identifies_us.desc()
    )
    if only_ours:
        query = query.where(RejectedWebhook.identifies_us == True)  # noqa: E712  SQL, not Python
    return list(db.session.scalars(query))


def last_verified_ms(door: str) -> int:
    """When something new last came in by this webhook with a right signature; 0 when never."""
    if door == "status":
        return db.session.scalar(select(Receipt.received_at_ms).order_by(Receipt.id.desc()).limit(1)) or 0
    if door == "inbound":
        query = select(InboundMessage.received_at_ms).where(InboundMessage.source == "webhook")
        return db.session.scalar(query.order_by(InboundMessage.id.desc()).limit(1)) or 0
    return 0

"""Counters of webhook calls rejected for their signature.

Anybody can call, so there is one row per webhook and cause and none per call.
"""

from sqlalchemy import Text, select, update
from sqlalchemy.orm import Mapped, mapped_column

from portal.consent.tables.inbound_messages import InboundMessage
from portal.core.column_types import STRICT, BigIntKey, Flag, Millis
from portal.core.extensions import Base, db
from portal.core.statements import insert_missing
from portal.messages.tables.communications import Receipt
from portal.operations.rules.rejection_reasons import WebhookRejection


class RejectedWebhook(Base):
    """`identifies_us`: the calls name something that only Twilio can know. `address`: the last proven URL of a call."""

    __tablename__ = "rejected_webhook"
    __table_args__ = (STRICT,)

    webhook: Mapped[str] = mapped_column(Text, primary_key=True)
    cause: Mapped[str] = mapped_column(Text, primary_key=True)
    identifies_us: Mapped[bool] = mapped_column(Flag, primary_key=True)
    request_count: Mapped[int] = mapped_column(BigIntKey, default=0)
    address: Mapped[str] = mapped_column(Text, default="")
    last_seen_at_ms: Mapped[int] = mapped_column(Millis, default=0)


def count_rejected(webhook: str, rejection: WebhookRejection, count: int, now_ms: int) -> None:
    """Must be called inside a transaction."""
    key = {"webhook": webhook, "cause": rejection.cause, "identifies_us": rejection.names_us}
    insert_missing(RejectedWebhook, [{**key, "request_count": 0, "address": "", "last_seen_at_ms": 0}], list(key))
    total = RejectedWebhook.request_count + count
    query = update(RejectedWebhook).filter_by(**key)
    db.session.execute(query.values(request_count=total, address=rejection.detail, last_seen_at_ms=now_ms))


def all_rejected() -> list[RejectedWebhook]:
    order = (RejectedWebhook.webhook, RejectedWebhook.cause, RejectedWebhook.identifies_us.desc())
    return list(db.session.scalars(select(RejectedWebhook).order_by(*order)))


def last_verified_ms(webhook: str) -> int:
    """When the last new receipt or text with a valid signature came; 0 if none has."""
    if webhook == "status":
        return db.session.scalar(select(Receipt.received_at_ms).order_by(Receipt.id.desc()).limit(1)) or 0
    if webhook == "inbound":
        query = select(InboundMessage.received_at_ms).where(InboundMessage.source == "webhook")
        return db.session.scalar(query.order_by(InboundMessage.id.desc()).limit(1)) or 0
    return 0

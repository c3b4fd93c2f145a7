"""Texts from handsets, stored once by provider id, with their classification and their order in time."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Index, Select, Text, func, select, text, update
from sqlalchemy.orm import Mapped, mapped_column

from portal.consent.rules.consent_state import MessageSource
from portal.consent.rules.keywords import ReplyCategory
from portal.core.column_types import STRICT, BigIntKey, Flag, Json, Millis
from portal.core.extensions import Base, db
from portal.core.statements import in_list


class InboundMessage(Base):
    """`order_at_ms` and `order_rank` give its order in time.

    `order_confirmed` is false until the order relative to a STOP or START close to it is known. `needs_review` marks a
    text that an administrator must read; `decision` is what they decided, `answer_id` the communication that
    answers it. `auto_reply` is the text sent back, and `auto_reply_content_block` the content block it was made from.
    """

    __tablename__ = "inbound_message"
    __table_args__ = (
        Index("ix_inbound_message_from_number", "from_number", "id"),
        Index("ix_inbound_message_review", "needs_review", "decision", "id"),
        Index("ix_inbound_message_order", "order_confirmed", "id"),
        STRICT,
    )

    id: Mapped[int] = mapped_column(BigIntKey, primary_key=True)
    provider_id: Mapped[str] = mapped_column(Text, unique=True)
    from_number: Mapped[str] = mapped_column(Text)
    to_number: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    raw: Mapped[Any] = mapped_column(Json)
    source: Mapped[str] = mapped_column(Text, default=MessageSource.WEBHOOK)
    classification: Mapped[str] = mapped_column(Text, default=ReplyCategory.UNCLEAR)
    is_keyword: Mapped[bool] = mapped_column(Flag, default=True)
    received_at_ms: Mapped[int] = mapped_column(Millis)
    order_at_ms: Mapped[int] = mapped_column(Millis)
    order_rank: Mapped[int] = mapped_column(default=0)
    order_confirmed: Mapped[bool] = mapped_column(Flag, default=True)
    needs_review: Mapped[bool] = mapped_column(Flag, default=False)
    decision: Mapped[str] = mapped_column(Text, default="")
    decided_by_id: Mapped[int | None] = mapped_column(BigIntKey)
    decided_at_ms: Mapped[int | None] = mapped_column(Millis)
    assigned_to_id: Mapped[int | None] = mapped_column(BigIntKey)
    answer_id: Mapped[int | None] = mapped_column(BigIntKey)
    auto_reply: Mapped[str | None] = mapped_column(Text)
    auto_reply_content_block: Mapped[str | None] = mapped_column(Text)
    auto_reply_content_block_version: Mapped[int | None]
    no_reply_reason: Mapped[str] = mapped_column(Text, default="", server_default=text("''"))
    """Why a keyword was not answered (`consent.rules.auto_reply_limits`)."""


_NEEDS_REVIEW = (InboundMessage.needs_review == True, InboundMessage.decision == "")  # noqa: E712  SQL, not Python


def is_stored(provider_id: str) -> bool:
    return db.session.scalar(select(InboundMessage.id).where(InboundMessage.provider_id == provider_id)) is not None


def has_category_since(from_number: str, category: str, since_ms: int) -> bool:
    query = select(InboundMessage.id).where(
        InboundMessage.from_number == from_number,
        InboundMessage.classification == category,
        InboundMessage.received_at_ms >= since_ms,
    )
    return db.session.scalar(query.limit(1)) is not None


def messages_from(from_number: str) -> list[InboundMessage]:
    """Oldest first."""
    return _in_order(InboundMessage.from_number == from_number)


def messages_with(provider_ids: Sequence[str]) -> list[InboundMessage]:
    """Oldest first, also those whose number an erasure has removed."""
    return _in_order(in_list(InboundMessage.provider_id, provider_ids))


def _in_order(condition: ColumnElement[bool]) -> list[InboundMessage]:
    query = select(InboundMessage).where(condition)
    in_order = query.order_by(InboundMessage.order_at_ms, InboundMessage.order_rank, InboundMessage.id)
    return list(db.session.scalars(in_order))


def auto_reply_outcomes(provider_ids: Sequence[str]) -> dict[str, InboundMessage]:
    """Map provider ids to the texts that were answered, or were not answered for a reason."""
    query = select(InboundMessage).where(in_list(InboundMessage.provider_id, provider_ids))
    has_outcome = InboundMessage.auto_reply.is_not(None) | (InboundMessage.no_reply_reason != "")
    return {message.provider_id: message for message in db.session.scalars(query.where(has_outcome))}


def auto_reply_times(from_number: str, content_blocks: Sequence[str], since_ms: int) -> list[int]:
    """When the handset got one of these automatic replies since then."""
    query = select(InboundMessage.received_at_ms).where(
        InboundMessage.from_number == from_number,
        InboundMessage.auto_reply_content_block.in_(content_blocks),
        InboundMessage.received_at_ms > since_ms,
    )
    return list(db.session.scalars(query))


def messages_without_order(limit: int) -> list[InboundMessage]:
    """Texts whose order in time is not confirmed, oldest first."""
    query = select(InboundMessage).where(InboundMessage.order_confirmed == False)  # noqa: E712  SQL, not Python
    return list(db.session.scalars(query.order_by(InboundMessage.id).limit(limit)))


def clear_earlier_start_reviews(latest: InboundMessage) -> None:
    """Take the other STARTs of the same handset off the list of replies to review. Inside a transaction."""
    others = update(InboundMessage).where(
        InboundMessage.from_number == latest.from_number, InboundMessage.id != latest.id, *_NEEDS_REVIEW
    )
    db.session.execute(others.where(InboundMessage.classification == ReplyCategory.START).values(needs_review=False))


def count_replies_to_review() -> int:
    return db.session.scalar(select(func.count()).where(*_NEEDS_REVIEW)) or 0


def replies_page(
    is_decided: bool, before: int | None, limit: int, assigned_to_id: int | None = None
) -> list[InboundMessage]:
    """Replies that wait for an administrator or had to, newest first; `assigned_to_id` limits them (0: to nobody)."""
    decision = InboundMessage.decision
    query = select(InboundMessage).where(
        InboundMessage.needs_review == True,  # noqa: E712  SQL, not Python
        decision != "" if is_decided else decision == "",
    )
    if assigned_to_id is not None:
        query = query.where(func.coalesce(InboundMessage.assigned_to_id, 0) == assigned_to_id)
    if before is not None:
        query = query.where(InboundMessage.id < before)
    return list(db.session.scalars(query.order_by(InboundMessage.id.desc()).limit(limit)))


def answer_ids(from_number: str) -> Select[int | None]:
    """The communications that answer texts from this number."""
    query = select(InboundMessage.answer_id).where(InboundMessage.from_number == from_number)
    return query.where(InboundMessage.answer_id.is_not(None))


def answered_provider_ids(from_number: str) -> dict[int | None, str]:
    """Map the answers to texts from this number to the provider ids of those texts."""
    rows = db.session.execute(answer_ids(from_number).add_columns(InboundMessage.provider_id))
    return {row.answer_id: row.provider_id for row in rows}

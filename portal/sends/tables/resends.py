"""Communications that are sent again: for each person, the earlier send whose template version and values are used."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, ForeignKey, Index, Text, delete, func, select
from sqlalchemy.orm import Mapped, mapped_column

from portal.accounts.tables.accounts import Account
from portal.core.column_types import STRICT, BigIntKey, Millis
from portal.core.extensions import Base, db


class Resend(Base):
    """Either one communication, or what a search line found. `confirmed_at_ms` is when somebody said yes.

    The line is kept until then.
    """

    __tablename__ = "resend"
    __table_args__ = (STRICT,)

    id: Mapped[int] = mapped_column(BigIntKey, primary_key=True)
    search_line: Mapped[str] = mapped_column(Text, default="")
    communication_id: Mapped[int | None] = mapped_column(BigIntKey)
    created_at_ms: Mapped[int] = mapped_column(Millis)
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    confirmed_at_ms: Mapped[int | None] = mapped_column(Millis)


class ResendRecipient(Base):
    """A person gets the same words once: `source_send_id` is the first send with this version and these values."""

    __tablename__ = "resend_recipient"
    __table_args__ = (Index("ix_resend_recipient_communication", "communication_id", "resend_id"), STRICT)

    resend_id: Mapped[int] = mapped_column(ForeignKey("resend.id"), primary_key=True)
    source_send_id: Mapped[int] = mapped_column(ForeignKey("send.id"), primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), primary_key=True)
    communication_id: Mapped[int] = mapped_column(BigIntKey)


def is_recipient(resend_id: int, source_send_id: int) -> ColumnElement[bool]:
    """Whether an account belongs to the audience, asked for each account by itself."""
    row = select(ResendRecipient.account_id).where(
        ResendRecipient.resend_id == resend_id,
        ResendRecipient.source_send_id == source_send_id,
        ResendRecipient.account_id == Account.id,
    )
    return row.exists()


def source_send_ids(resend_id: int) -> list[int]:
    query = select(ResendRecipient.source_send_id).where(ResendRecipient.resend_id == resend_id).distinct()
    return sorted(db.session.scalars(query))


def count_already_resent(resend_id: int) -> int:
    """How many of these communications were sent again before."""
    own = select(ResendRecipient.communication_id).where(ResendRecipient.resend_id == resend_id)
    query = select(func.count(ResendRecipient.communication_id.distinct())).join(Resend)
    query = query.where(ResendRecipient.communication_id.in_(own), ResendRecipient.resend_id != resend_id)
    return db.session.scalar(query.where(Resend.confirmed_at_ms.is_not(None))) or 0


def confirmed_resends_of(communication_id: int) -> list[tuple[Resend, int]]:
    """When it was sent again, each with the earlier send that it was for."""
    query = select(Resend, ResendRecipient.source_send_id).join(ResendRecipient).order_by(Resend.id)
    query = query.where(ResendRecipient.communication_id == communication_id, Resend.confirmed_at_ms.is_not(None))
    return [(resend, source_send_id) for resend, source_send_id in db.session.execute(query)]


def delete_unconfirmed(before_ms: int) -> None:
    """Nobody said yes to these. Inside a transaction."""
    old: Sequence[int] = list(
        db.session.scalars(select(Resend.id).where(Resend.confirmed_at_ms.is_(None), Resend.created_at_ms < before_ms))
    )
    db.session.execute(delete(ResendRecipient).where(ResendRecipient.resend_id.in_(old)))
    db.session.execute(delete(Resend).where(Resend.id.in_(old)))

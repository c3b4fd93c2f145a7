"""Sends: one template version going to an audience."""

from typing import Any

from sqlalchemy import ForeignKey, Index, Text, select
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship

from portal.extensions import Base, db
from portal.models.account import Account
from portal.models.template import TemplateVersion
from portal.models.types import STRICT, Json, Key, Millis

EXPANDING = ("queued", "expanding")
UNDER_WAY = (*EXPANDING, "sending")
"""States of a send of which messages have still to leave."""


class Send(Base):
    """`state` is queued, expanding, sending, done or canceled; `expanded_through` is the last account id expanded.

    `email_turn` and `sms_turn` are the turns of the messages that are made next. It stands still while `paused_at_ms`
    is set; `steered_at_ms` says that a cancelled send's messages have all been cancelled.
    `planned_texts` is how many texts it was to make, as things stood when it was created.
    """

    __tablename__ = "send"
    __table_args__ = (Index("ix_send_state", "state", "id"), STRICT)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    template_version_id: Mapped[int] = mapped_column(ForeignKey("template_version.id"))
    audience: Mapped[Any] = mapped_column(Json)
    data: Mapped[Any] = mapped_column(Json, default=dict)
    state: Mapped[str] = mapped_column(Text, default="queued")
    request_key: Mapped[str | None] = mapped_column(Text, unique=True)
    expanded_through: Mapped[int] = mapped_column(Key, default=0)
    recipients: Mapped[int] = mapped_column(default=0)
    planned_texts: Mapped[int | None]
    created_at_ms: Mapped[int] = mapped_column(Millis)
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    expanded_at_ms: Mapped[int | None] = mapped_column(Millis)
    finished_at_ms: Mapped[int | None] = mapped_column(Millis)
    email_turn: Mapped[int | None] = mapped_column(Key)
    sms_turn: Mapped[int | None] = mapped_column(Key)
    paused_at_ms: Mapped[int | None] = mapped_column(Millis)
    steered_at_ms: Mapped[int | None] = mapped_column(Millis)

    version: Mapped[TemplateVersion] = relationship()
    created_by: Mapped[Account | None] = relationship()


def useful_until_ms(version: TemplateVersion, created_at_ms: int) -> int | None:
    """Until when a text of a send of that time is worth sending; None when it always is."""
    return None if version.useful_hours is None else created_at_ms + version.useful_hours * 3_600_000


def page_before(before: int | None, limit: int) -> list[Send]:
    """Newest first, with their templates."""
    query = select(Send).options(joinedload(Send.version).joinedload(TemplateVersion.template))
    if before is not None:
        query = query.where(Send.id < before)
    return list(db.session.scalars(query.order_by(Send.id.desc()).limit(limit)))


def under_way() -> list[Send]:
    """Oldest first, with their templates."""
    query = select(Send).options(joinedload(Send.version).joinedload(TemplateVersion.template))
    return list(db.session.scalars(query.where(Send.state.in_(UNDER_WAY)).order_by(Send.id)))


def unfinished_ids(state: str) -> list[int]:
    return list(db.session.scalars(select(Send.id).where(Send.state == state).order_by(Send.id)))


def is_any_new(but_for: int, since_ms: int) -> bool:
    """Whether a send of that time has not been begun, another one than this."""
    query = select(Send.id).where(Send.state == "queued", Send.id != but_for, Send.created_at_ms > since_ms)
    return db.session.scalar(query.limit(1)) is not None


def by_request_key(key: str) -> Send | None:
    return db.session.scalar(select(Send).where(Send.request_key == key))

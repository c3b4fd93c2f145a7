"""Sends: one template version going to an audience."""

from typing import Any

from sqlalchemy import (
    ForeignKey,
    Index,
    Text,
    select,
    update,
)
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship

from portal.accounts.tables.accounts import Account
from portal.content.tables.templates import TemplateVersion
from portal.core.column_types import STRICT, BigIntKey, Json, Millis
from portal.core.extensions import Base, db
from portal.core.rules.delivery_status import UNSENT, DeliveryState
from portal.core.statements import updated_count
from portal.messages.tables.communications import Delivery
from portal.messages.tables.transitions import DELIVERY_CHANNELS

FANNING_OUT_STATES = ("queued", "fanning_out")
ACTIVE_STATES = (*FANNING_OUT_STATES, "sending")
"""States of a send of which messages have still to leave."""


class Send(Base):
    """`state` is queued, expanding, sending, done or canceled; `fan_out_cursor` is the last account id expanded.

    `next_email_position` and `next_sms_position` are the turns of the messages that are made next. It stands still while `paused_at_ms`
    is set; `cancel_applied_at_ms` says that a cancelled send's messages have all been cancelled.
    `planned_texts` is how many texts it was to make, as things stood when it was created.
    """

    __tablename__ = "send"
    __table_args__ = (Index("ix_send_state", "state", "id"), STRICT)

    id: Mapped[int] = mapped_column(BigIntKey, primary_key=True)
    template_version_id: Mapped[int] = mapped_column(ForeignKey("template_version.id"))
    audience: Mapped[Any] = mapped_column(Json)
    data: Mapped[Any] = mapped_column(Json, default=dict)
    state: Mapped[str] = mapped_column(Text, default="queued")
    request_key: Mapped[str | None] = mapped_column(Text, unique=True)
    fan_out_cursor: Mapped[int] = mapped_column(BigIntKey, default=0)
    recipients: Mapped[int] = mapped_column(default=0)
    planned_texts: Mapped[int | None]
    created_at_ms: Mapped[int] = mapped_column(Millis)
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    fanned_out_at_ms: Mapped[int | None] = mapped_column(Millis)
    finished_at_ms: Mapped[int | None] = mapped_column(Millis)
    next_email_position: Mapped[int | None] = mapped_column(BigIntKey)
    next_sms_position: Mapped[int | None] = mapped_column(BigIntKey)
    paused_at_ms: Mapped[int | None] = mapped_column(Millis)
    cancel_applied_at_ms: Mapped[int | None] = mapped_column(Millis)

    version: Mapped[TemplateVersion] = relationship()
    created_by: Mapped[Account | None] = relationship()


def sms_expires_at_ms(version: TemplateVersion, created_at_ms: int) -> int | None:
    """Until when a text of a send of that time is worth sending; None when it always is."""
    return None if version.sms_expiry_hours is None else created_at_ms + version.sms_expiry_hours * 3_600_000


def sends_before(before: int | None, limit: int) -> list[Send]:
    """Newest first, with their templates."""
    query = select(Send).options(joinedload(Send.version).joinedload(TemplateVersion.template))
    if before is not None:
        query = query.where(Send.id < before)
    return list(db.session.scalars(query.order_by(Send.id.desc()).limit(limit)))


def active_sends() -> list[Send]:
    """Oldest first, with their templates."""
    query = select(Send).options(joinedload(Send.version).joinedload(TemplateVersion.template))
    return list(db.session.scalars(query.where(Send.state.in_(ACTIVE_STATES)).order_by(Send.id)))


def send_ids_in_state(state: str) -> list[int]:
    return list(db.session.scalars(select(Send.id).where(Send.state == state).order_by(Send.id)))


def has_newer_queued_send(but_for: int, since_ms: int) -> bool:
    """Whether a send of that time has not been begun, another one than this."""
    query = select(Send.id).where(Send.state == "queued", Send.id != but_for, Send.created_at_ms > since_ms)
    return db.session.scalar(query.limit(1)) is not None


def find_by_request_key(key: str) -> Send | None:
    return db.session.scalar(select(Send).where(Send.request_key == key))


def target_state(send_state: str | None, paused_at_ms: int | None) -> str:
    """The state that a send wants its waiting messages to have."""
    if send_state == "canceled":
        return "canceled"
    return "paused" if paused_at_ms is not None else "ready"


def advance_fan_out(send_id: int, after_id: int, cursor_id: int, recipients: int, positions: dict[str, int]) -> bool:
    """Move a send's cursor on by a chunk. False when somebody else has moved it meanwhile."""
    query = update(Send).where(
        Send.id == send_id, Send.fan_out_cursor == after_id, Send.state.in_(("queued", "fanning_out"))
    )
    changes = {"state": "fanning_out", "fan_out_cursor": cursor_id, "recipients": Send.recipients + recipients}
    return updated_count(query.values(**changes, **positions)) > 0


def finish_fan_out(send_id: int, after_id: int, now_ms: int) -> None:
    query = update(Send).where(
        Send.id == send_id, Send.fan_out_cursor == after_id, Send.state.in_(("queued", "fanning_out"))
    )
    updated_count(query.values(state=DeliveryState.SENDING, fanned_out_at_ms=now_ms))


def finish_sends(now_ms: int) -> None:
    """A send is done when none of its messages has still to leave."""
    unsent = (
        select(Delivery.id)
        .where(Delivery.send_id == Send.id, Delivery.channel.in_(DELIVERY_CHANNELS), Delivery.state.in_(UNSENT))
        .exists()
    )
    query = update(Send).where(Send.state == "sending", ~unsent)
    db.session.execute(
        query.values(state="done", finished_at_ms=now_ms), execution_options={"synchronize_session": False}
    )

"""Sends: one template version for one audience."""

from typing import Any

from sqlalchemy import ForeignKey, Index, Text, Update, cast, func, or_, select, update
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship

from portal.accounts.tables.accounts import Account
from portal.content.tables.templates import Template, TemplateVersion
from portal.core.column_types import STRICT, BigIntKey, Json, Millis
from portal.core.extensions import Base, db
from portal.core.keyset import Keyset, Slice
from portal.core.rules.delivery_status import UNSENT, DeliveryState
from portal.core.rules.lanes import Lane
from portal.core.statements import updated_count
from portal.messages.tables.communications import Delivery
from portal.messages.tables.transitions import DELIVERY_CHANNELS
from portal.sends.rules.send_state import SendState

FINISHED_STATES = (SendState.DONE, SendState.CANCELED)
FANNING_OUT_STATES = (SendState.QUEUED, SendState.FANNING_OUT)
ACTIVE_STATES = (*FANNING_OUT_STATES, SendState.SENDING)
"""States of a send that still has messages to send."""


class Send(Base):
    """`state` is a `SendState`; a send is paused while `paused_at_ms` is set.

    `fan_out_cursor` is the last account id that has its communication, and the `next_…_position` columns are the queue
    positions of the next messages. `planned_texts` is the number of texts expected when the send was created.
    `cancel_applied_at_ms` is set once all messages of a canceled send are canceled. Before `starts_at_ms` (0: at once),
    the send can be undone. It is set anew when the send is approved. An approval after `start_deadline_ms` is late.
    """

    __tablename__ = "send"
    __table_args__ = (Index("ix_send_state", "state", "id"), STRICT)

    id: Mapped[int] = mapped_column(BigIntKey, primary_key=True)
    template_version_id: Mapped[int] = mapped_column(ForeignKey("template_version.id"))
    audience: Mapped[Any] = mapped_column(Json)
    data: Mapped[Any] = mapped_column(Json, default=dict)
    state: Mapped[str] = mapped_column(Text, default=SendState.QUEUED)
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
    starts_at_ms: Mapped[int] = mapped_column(Millis, default=0, server_default="0")
    approved_by_id: Mapped[int | None] = mapped_column(BigIntKey)
    approved_at_ms: Mapped[int | None] = mapped_column(Millis)
    archived_at_ms: Mapped[int | None] = mapped_column(Millis)
    start_deadline_ms: Mapped[int | None] = mapped_column(Millis)

    version: Mapped[TemplateVersion] = relationship()
    created_by: Mapped[Account | None] = relationship()
    approved_by: Mapped[Account | None] = relationship(
        primaryjoin="foreign(Send.approved_by_id) == Account.id", viewonly=True
    )

    @property
    def lane(self) -> Lane:
        return Lane.URGENT if self.version.urgent else Lane.BULK

    @property
    def begins_at_ms(self) -> int:
        """When it begins, after the time to undo it and its approval: the validity of its texts is counted from it."""
        return max(self.created_at_ms, self.starts_at_ms)


_WITH_TEMPLATE = select(Send).options(joinedload(Send.version).joinedload(TemplateVersion.template))


def sms_expires_at_ms(version: TemplateVersion, begins_at_ms: int) -> int | None:
    """When the texts of a send expire; None if they do not."""
    return None if version.sms_expiry_hours is None else begins_at_ms + version.sms_expiry_hours * 3_600_000


def sends_page(keyset: Keyset, is_archived: bool = False) -> Slice[Send]:
    """With their templates."""
    archived = Send.archived_at_ms.is_not(None) if is_archived else Send.archived_at_ms.is_(None)
    return keyset.fetch(_WITH_TEMPLATE.where(archived))


def find_sends(words: str, limit: int) -> list[Send]:
    """The newest whose number or template's name contains these words, in any case, with their templates."""
    query = _WITH_TEMPLATE.where(Send.archived_at_ms.is_(None))
    if words:
        is_named = func.lower(Template.name).contains(words.lower(), autoescape=True)
        is_numbered = cast(Send.id, Text).contains(words, autoescape=True)
        query = query.join(Send.version).join(TemplateVersion.template).where(or_(is_named, is_numbered))
    return list(db.session.scalars(query.order_by(Send.id.desc()).limit(limit)))


def sends_to_approve() -> list[Send]:
    """Those that wait for approval, oldest first, with their templates and authors."""
    query = _WITH_TEMPLATE.options(joinedload(Send.created_by)).where(Send.state == SendState.AWAITING_APPROVAL)
    return list(db.session.scalars(query.order_by(Send.id)))


def count_sends_to_approve() -> int:
    query = select(func.count()).select_from(Send).where(Send.state == SendState.AWAITING_APPROVAL)
    return db.session.scalar(query) or 0


def active_sends() -> list[Send]:
    """Oldest first, with their templates."""
    return list(db.session.scalars(_WITH_TEMPLATE.where(Send.state.in_(ACTIVE_STATES)).order_by(Send.id)))


def started_send_ids(state: str, now_ms: int) -> list[int]:
    """Sends in this state whose time to undo them is over."""
    query = select(Send.id).where(Send.state == state, Send.starts_at_ms <= now_ms)
    return list(db.session.scalars(query.order_by(Send.id)))


def unfinished_audiences() -> list[dict[str, Any]]:
    """Of the sends whose messages have not all been made."""
    query = select(Send.audience).where(Send.fanned_out_at_ms.is_(None), Send.state != SendState.CANCELED)
    return list(db.session.scalars(query))


def next_start_ms(after_ms: int) -> int | None:
    """When the next send begins whose time to undo it is not over yet."""
    query = select(func.min(Send.starts_at_ms)).where(Send.state == SendState.QUEUED, Send.starts_at_ms > after_ms)
    return db.session.scalar(query)


def has_newer_queued_send(send_id: int, since_ms: int, now_ms: int) -> bool:
    """Whether another send has begun after `since_ms` and not started its fan-out."""
    is_recent = (Send.created_at_ms > since_ms) | (Send.starts_at_ms > since_ms)
    query = select(Send.id).where(Send.state == SendState.QUEUED, Send.id != send_id, Send.starts_at_ms <= now_ms)
    return db.session.scalar(query.where(is_recent).limit(1)) is not None


def find_by_request_key(key: str) -> Send | None:
    return db.session.scalar(select(Send).where(Send.request_key == key))


def find_send_of_form(key: str) -> Send | None:
    """The newest send whose request key is `key` with the digest of any values behind it."""
    matches = Send.request_key.startswith(f"{key}:", autoescape=True)
    return db.session.scalars(select(Send).where(matches).order_by(Send.id.desc()).limit(1)).first()


def target_state(send_state: str | None, paused_at_ms: int | None) -> DeliveryState:
    """The state that the send's waiting messages should have."""
    if send_state == SendState.CANCELED:
        return DeliveryState.CANCELED
    return DeliveryState.PAUSED if paused_at_ms is not None else DeliveryState.READY


def advance_fan_out(send_id: int, after_id: int, cursor_id: int, recipients: int, positions: dict[str, int]) -> bool:
    """Advance the cursor by a chunk. False if another worker has advanced it in the meantime."""
    changes = {"state": SendState.FANNING_OUT, "fan_out_cursor": cursor_id, "recipients": Send.recipients + recipients}
    return updated_count(_at_cursor(send_id, after_id).values(**changes, **positions)) > 0


def finish_fan_out(send_id: int, after_id: int, now_ms: int) -> None:
    updated_count(_at_cursor(send_id, after_id).values(state=SendState.SENDING, fanned_out_at_ms=now_ms))


def _at_cursor(send_id: int, after_id: int) -> Update:
    return update(Send).where(Send.id == send_id, Send.fan_out_cursor == after_id, Send.state.in_(FANNING_OUT_STATES))


def finish_sends(now_ms: int) -> None:
    """Mark sends as done whose messages have all left."""
    unsent = (
        select(Delivery.id)
        .where(Delivery.send_id == Send.id, Delivery.channel.in_(DELIVERY_CHANNELS), Delivery.state.in_(UNSENT))
        .exists()
    )
    query = update(Send).where(Send.state == SendState.SENDING, ~unsent)
    updated_count(query.values(state=SendState.DONE, finished_at_ms=now_ms))

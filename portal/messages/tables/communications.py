"""Communications: what one account was sent, word for word, and the deliveries that carried it."""

from typing import TYPE_CHECKING, Any

from sqlalchemy import ForeignKey, Index, Text, UniqueConstraint, case, select, text
from sqlalchemy.orm import Mapped, column_property, mapped_column, relationship

from portal.accounts.tables.accounts import Account
from portal.core.column_types import STRICT, BigIntKey, Flag, Json, Millis
from portal.core.extensions import Base, db
from portal.core.rules.delivery_status import DeliveryState
from portal.core.rules.lanes import Lane
from portal.core.rules.routing import Mode, TextKind
from portal.messages.rules.attempt_outcome import AttemptOutcome

if TYPE_CHECKING:
    from portal.sends.tables.sends import Send


_WHERE_READY: dict[str, Any] = dict.fromkeys(("sqlite_where", "postgresql_where"), text("state = 'ready'"))
_WHERE_TEXT: dict[str, Any] = dict.fromkeys(("sqlite_where", "postgresql_where"), text("channel = 'sms'"))
_WHERE_ERROR: dict[str, Any] = dict.fromkeys(("sqlite_where", "postgresql_where"), text("error_code <> ''"))


class Communication(Base):
    """The immutable words of one message. `content_block` names the block behind an invitation or a welcome.

    `subject` is plain text, `body` is Markdown with the values marked (`content.rules.markdown_literals`), until
    retention or an erasure empties it.
    """

    __tablename__ = "communication"
    __table_args__ = (
        UniqueConstraint("send_id", "account_id"),
        Index("ix_communication_account", "account_id", "id", "created_at_ms", "read_at_ms", "send_id", "kind"),
        Index("ix_communication_send", "send_id", "id"),
        Index("uq_communication_consent", "consent_event_id", "kind", "account_id", unique=True),
        STRICT,
    )

    id: Mapped[int] = mapped_column(BigIntKey, primary_key=True)
    send_id: Mapped[int | None] = mapped_column(ForeignKey("send.id"))
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    kind: Mapped[str] = mapped_column(Text, default=TextKind.NOTIFICATION)
    consent_event_id: Mapped[int | None] = mapped_column(BigIntKey)
    """The ledger event that caused it: at most one communication of a kind per event and account."""
    requested_mode: Mapped[str | None] = mapped_column(Text)
    """The mode in which a test text was requested: it is never sent in another (`core.rules.routing`)."""
    requested_sender: Mapped[str | None] = mapped_column(Text)
    """The sending number chosen for a test text, or texted by the phone that is answered; None for the usual one."""
    subject: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    language: Mapped[str | None] = mapped_column(Text)
    """Of the template's variant that it was made from; None for the template's own words, and for other messages."""
    content_block: Mapped[str | None] = mapped_column(Text)
    content_block_version: Mapped[int | None]
    token: Mapped[str] = mapped_column(Text, unique=True)
    created_at_ms: Mapped[int] = mapped_column(Millis)
    read_at_ms: Mapped[int | None] = mapped_column(Millis)
    is_only_marked_read: Mapped[bool] = mapped_column(Flag, default=False, server_default="0")
    """The person marked it as read, with all others, and has not opened it."""
    body_deleted_at_ms: Mapped[int | None] = mapped_column(Millis)
    opened_at_ms: Mapped[int | None] = column_property(case((is_only_marked_read == False, read_at_ms)))  # noqa: E712

    account: Mapped[Account] = relationship()
    send: Mapped["Send | None"] = relationship()
    deliveries: Mapped[list["Delivery"]] = relationship(back_populates="communication", order_by="Delivery.channel")


class Delivery(Base):
    """One channel of a communication. `state` is a `DeliveryState`, `reason` explains it.

    `address` is the intended recipient, `queue_position` the place in the lane. `attempt_id` and `lease_until_ms`
    belong to the current attempt. `body` and `segments` are the text as it is sent (SMS only), which is not sent after
    `sms_expires_at_ms`.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        UniqueConstraint("communication_id", "channel"),
        Index("ix_delivery_claim", "channel", "state", "lane", "due_at_ms", "id"),
        Index("ix_delivery_queue_position", "channel", "lane", "queue_position", "id", **_WHERE_READY),
        Index("ix_delivery_send", "send_id", "channel", "state", "communication_id"),
        Index("ix_delivery_state", "channel", "state", "communication_id"),
        Index("ix_delivery_text_address", "address", "communication_id", **_WHERE_TEXT),
        Index("ix_delivery_error_code", "error_code", "communication_id", **_WHERE_ERROR),
        Index("ix_delivery_provider_id", "provider_id"),
        STRICT,
    )

    id: Mapped[int] = mapped_column(BigIntKey, primary_key=True)
    communication_id: Mapped[int] = mapped_column(ForeignKey("communication.id"))
    send_id: Mapped[int | None] = mapped_column(ForeignKey("send.id"))
    channel: Mapped[str] = mapped_column(Text)
    lane: Mapped[int] = mapped_column(default=Lane.BULK)
    queue_position: Mapped[int] = mapped_column(BigIntKey, default=0, server_default="0")
    state: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text, default="")
    address: Mapped[str] = mapped_column(Text, default="")
    body: Mapped[str] = mapped_column(Text, default="")
    segments: Mapped[int] = mapped_column(default=0)
    due_at_ms: Mapped[int] = mapped_column(Millis)
    sms_expires_at_ms: Mapped[int | None] = mapped_column(Millis)
    attempt_count: Mapped[int] = mapped_column(default=0)
    attempt_id: Mapped[str | None] = mapped_column(Text)
    lease_until_ms: Mapped[int | None] = mapped_column(Millis)
    provider_id: Mapped[str | None] = mapped_column(Text)
    error_code: Mapped[str] = mapped_column(Text, default="")
    state_changed_at_ms: Mapped[int] = mapped_column(Millis)
    created_at_ms: Mapped[int] = mapped_column(Millis)

    communication: Mapped[Communication] = relationship(back_populates="deliveries")
    attempt_history: Mapped[list["Attempt"]] = relationship(order_by="Attempt.started_at_ms")
    receipts: Mapped[list["Receipt"]] = relationship(order_by="Receipt.received_at_ms")


def urgent_delivery(
    channel: str, address: str, now_ms: int, skip_reason: str | None = None, **columns: Any
) -> Delivery:
    """A delivery that belongs to no send: ready at once, or skipped for a reason."""
    times = dict.fromkeys(("due_at_ms", "state_changed_at_ms", "created_at_ms"), now_ms)
    return Delivery(
        channel=channel,
        address=address,
        lane=Lane.URGENT,
        state=DeliveryState.SKIPPED if skip_reason else DeliveryState.READY,
        reason=skip_reason or "",
        **{**times, **columns},
    )


def text_times_since(account_id: int, number: str, kind: str, since_ms: int) -> list[int]:
    """When texts of this kind were created for the account’s phone since then, skipped ones excluded."""
    query = (
        select(Delivery.created_at_ms)
        .join(Communication)
        .where(Communication.account_id == account_id, Communication.kind == kind)
        .where(Communication.created_at_ms > since_ms, Delivery.channel == "sms", Delivery.address == number)
        .where(Delivery.state != DeliveryState.SKIPPED)
    )
    return list(db.session.scalars(query))


class Attempt(Base):
    """One call to a provider. The row is committed before the call; `outcome` is empty until it is known."""

    __tablename__ = "attempt"
    __table_args__ = (
        Index("ix_attempt_delivery", "delivery_id"),
        Index("ix_attempt_provider_id", "provider_id"),
        Index("ix_attempt_slot", "slot_at_ms"),
        Index("ix_attempt_destination", "destination", "slot_at_ms"),
        STRICT,
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    delivery_id: Mapped[int] = mapped_column(ForeignKey("delivery.id"))
    mode: Mapped[str] = mapped_column(Text, default=Mode.LIVE)
    account_sid: Mapped[str] = mapped_column(Text, default="")
    sender: Mapped[str] = mapped_column(Text, default="")
    destination: Mapped[str] = mapped_column(Text)
    started_at_ms: Mapped[int] = mapped_column(Millis)
    slot_at_ms: Mapped[int] = mapped_column(Millis)
    lease_until_ms: Mapped[int] = mapped_column(Millis)
    finished_at_ms: Mapped[int | None] = mapped_column(Millis)
    outcome: Mapped[str] = mapped_column(Text, default=AttemptOutcome.PENDING)
    provider_id: Mapped[str | None] = mapped_column(Text)
    http_status: Mapped[int | None]
    error_code: Mapped[str] = mapped_column(Text, default="")
    detail: Mapped[str] = mapped_column(Text, default="")
    provider_response: Mapped[str | None] = mapped_column(Text)
    """For test texts: the beginning of the provider’s response, verbatim."""
    provider_segments: Mapped[int | None]
    price: Mapped[str | None] = mapped_column(Text)
    """What the provider charges, a decimal number as it reports it, such as -0.00790; None until it is known."""
    price_unit: Mapped[str | None] = mapped_column(Text)

    @property
    def last_seen_ms(self) -> int:
        """When it was last known to be in flight: the settle window starts there."""
        return self.finished_at_ms or self.lease_until_ms


class Receipt(Base):
    """A status callback as received, stored once. `applied` is false while its delivery is unknown (an orphan)."""

    __tablename__ = "receipt"
    __table_args__ = (
        UniqueConstraint("provider_id", "status", "error_code"),
        Index("ix_receipt_applied", "applied", "id"),
        Index("ix_receipt_delivery", "delivery_id"),
        STRICT,
    )

    id: Mapped[int] = mapped_column(BigIntKey, primary_key=True)
    provider_id: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    error_code: Mapped[str] = mapped_column(Text, default="")
    attempt_id: Mapped[str] = mapped_column(Text, default="")
    delivery_id: Mapped[int | None] = mapped_column(ForeignKey("delivery.id"))
    raw: Mapped[Any] = mapped_column(Json)
    received_at_ms: Mapped[int] = mapped_column(Millis)
    applied: Mapped[bool] = mapped_column(Flag, default=False)

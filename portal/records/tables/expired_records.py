"""Delete what is older than its retention, a range of ids at a time, and remember how far that has come.

Rows get their ids in the order of their creation. So what is older than a moment are the ids up to a boundary, which is
found by bisection, and the tables that grow fastest need no index on time for it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, delete, func, select, update
from sqlalchemy.orm import InstrumentedAttribute, Mapped, mapped_column

from portal.consent.tables.inbound_messages import InboundMessage
from portal.consent.tables.ledger import ConsentEvent
from portal.consent.tables.reply_notes import ReplyNote
from portal.core.audit_log import AuditEntry, remove_entries
from portal.core.column_types import STRICT, BigIntKey, Millis
from portal.core.extensions import Base, db
from portal.core.rules.delivery_status import UNSENT
from portal.core.statements import in_list
from portal.messages.tables.communications import Attempt, Communication, Delivery, Receipt
from portal.records.rules.retention_kinds import EXPIRING_KINDS, KEPT_ACTIONS, RetentionKind


class RetentionProgress(Base):
    """Everything through `done_through_id` has expired. A run has examined the ids through `cursor_id`.

    `skipped_id` is the first that the run had to leave, such as a message that still waits: the next run begins there.
    """

    __tablename__ = "retention_progress"
    __table_args__ = (STRICT,)

    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    done_through_id: Mapped[int] = mapped_column(BigIntKey, default=0)
    cursor_id: Mapped[int] = mapped_column(BigIntKey, default=0)
    skipped_id: Mapped[int | None] = mapped_column(BigIntKey)
    deleted_count: Mapped[int] = mapped_column(BigIntKey, default=0)
    finished_at_ms: Mapped[int | None] = mapped_column(Millis)


@dataclass(frozen=True)
class Expiry:
    """`expirable` are the ids that expire now, of those in a range. `kept` never expire; the others are left for later.

    `delete` takes ids, and returns how many records it deleted.
    """

    id: InstrumentedAttribute[int]
    at_ms: InstrumentedAttribute[int]
    expirable: Callable[[int], ColumnElement[bool]]
    kept: ColumnElement[bool]
    delete: Callable[[list[int], int], int]


def progress_by_kind() -> dict[str, RetentionProgress]:
    return {row.kind: row for row in db.session.scalars(select(RetentionProgress))}


def boundary_id(kind: RetentionKind, before_ms: int) -> int:
    """The last id that is older; 0 if none is."""
    expiry = _EXPIRIES[kind]
    low, high = 0, db.session.scalar(select(func.max(expiry.id))) or 0
    query = select(expiry.id, expiry.at_ms).order_by(expiry.id).limit(1)
    while low < high:
        row_id, at_ms = db.session.execute(query.where(expiry.id >= (low + high + 1) // 2)).one()
        if at_ms < before_ms:
            low = row_id
        else:
            high = (low + high + 1) // 2 - 1
    return low


def first_id(kind: RetentionKind) -> int:
    return db.session.scalar(select(func.min(_EXPIRIES[kind].id))) or 0


def oldest_ms(kind: RetentionKind, after_id: int) -> int | None:
    """When the oldest record was created that has not expired."""
    expiry = _EXPIRIES[kind]
    return db.session.scalar(select(expiry.at_ms).where(expiry.id > after_id).order_by(expiry.id).limit(1))


def ids_after(kind: RetentionKind, after_id: int, through_id: int, limit: int) -> list[int]:
    column = _EXPIRIES[kind].id
    query = select(column).where(column > after_id, column <= through_id).order_by(column).limit(limit)
    return list(db.session.scalars(query))


def expire(kind: RetentionKind, ids: list[int], before_ms: int, now_ms: int) -> tuple[int, int | None]:
    """How many records were deleted, and the first id that has to wait. Inside a transaction."""
    expiry = _EXPIRIES[kind]
    in_range = in_list(expiry.id, ids)
    expirable = set(db.session.scalars(select(expiry.id).where(in_range, ~expiry.kept, expiry.expirable(before_ms))))
    kept = set(db.session.scalars(select(expiry.id).where(in_range, expiry.kept)))
    count = expiry.delete(sorted(expirable), now_ms) if expirable else 0
    return count, next((id for id in ids if id not in expirable and id not in kept), None)


def _empty_bodies(ids: list[int], now_ms: int) -> int:
    _execute(update(Delivery).where(in_list(Delivery.communication_id, ids)).values(body=""))
    emptied = update(Communication).where(in_list(Communication.id, ids), Communication.body_deleted_at_ms.is_(None))
    return _execute(emptied.values(body="", body_deleted_at_ms=now_ms))


def _delete_events(delivery_ids: list[int], _now_ms: int) -> int:
    tables: tuple[Any, ...] = (Attempt, Receipt)
    return sum(_execute(delete(table).where(in_list(table.delivery_id, delivery_ids))) for table in tables)


def _delete_deliveries(communication_ids: list[int], now_ms: int) -> int:
    """All of a communication at once, so that nobody seems not to have been reached meanwhile."""
    of_these = in_list(Delivery.communication_id, communication_ids)
    delivery_ids = list(db.session.scalars(select(Delivery.id).where(of_these)))
    _delete_events(delivery_ids, now_ms)
    return _execute(delete(Delivery).where(of_these))


def _empty_inbound(ids: list[int], now_ms: int) -> int:
    _execute(delete(ReplyNote).where(in_list(ReplyNote.message_id, ids)))
    emptied = update(InboundMessage).where(in_list(InboundMessage.id, ids))
    return _execute(emptied.values(body="", raw={"deleted_at_ms": now_ms}))


def _execute(statement: Any) -> int:
    result: Any = db.session.execute(statement, execution_options={"synchronize_session": False})
    return int(result.rowcount)


def _is_sent(_before_ms: int) -> ColumnElement[bool]:
    """None of its messages may still have to be sent."""
    unsent = select(Delivery.id).where(Delivery.communication_id == Communication.id, Delivery.state.in_(UNSENT))
    return ~unsent.exists()


def _of_kind(*kinds: str) -> Select[Any]:
    return select(Communication.id).where(Communication.id == Delivery.communication_id, Communication.kind.in_(kinds))


_IS_KEPT_KIND = Communication.kind.not_in(EXPIRING_KINDS)
_IN_LEDGER = (
    select(ConsentEvent.id)
    .where(ConsentEvent.message_sid != "", ConsentEvent.message_sid == InboundMessage.provider_id)
    .exists()
)
_EXPIRIES: Mapping[RetentionKind, Expiry] = {
    RetentionKind.BODIES: Expiry(Communication.id, Communication.created_at_ms, _is_sent, _IS_KEPT_KIND, _empty_bodies),
    RetentionKind.EVENTS: Expiry(
        Delivery.id,
        Delivery.created_at_ms,
        lambda before_ms: Delivery.state.not_in(UNSENT) & (Delivery.state_changed_at_ms < before_ms),
        ~_of_kind(*EXPIRING_KINDS).exists(),
        _delete_events,
    ),
    RetentionKind.DELIVERIES: Expiry(
        Communication.id, Communication.created_at_ms, _is_sent, _IS_KEPT_KIND, _delete_deliveries
    ),
    RetentionKind.INBOUND: Expiry(
        InboundMessage.id,
        InboundMessage.received_at_ms,
        lambda _before_ms: (InboundMessage.needs_review == False) | (InboundMessage.decision != ""),  # noqa: E712  SQL
        _IN_LEDGER,
        _empty_inbound,
    ),
    RetentionKind.AUDIT: Expiry(
        AuditEntry.id,
        AuditEntry.at_ms,
        lambda _before_ms: AuditEntry.action.not_in(KEPT_ACTIONS),
        AuditEntry.action.in_(KEPT_ACTIONS),
        remove_entries,
    ),
}

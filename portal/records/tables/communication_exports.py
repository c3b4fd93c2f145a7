"""Exports of communications: which rows, how far each has come, and its content in parts (ADR 45)."""

from collections.abc import Iterator
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, LargeBinary, Text, delete, select, update
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship

from portal.accounts.tables.accounts import Account
from portal.core.column_types import STRICT, BigIntKey, Flag, Millis
from portal.core.extensions import Base, db
from portal.core.keyset import Slice, newest_first
from portal.core.statements import updated_count
from portal.records.tables.stored_parts import read_parts

_PARTS_DELETED_AT_ONCE = 100


class ExportState(StrEnum):
    """Only an export that is `DONE` can be downloaded. A removed one was canceled, deleted or is older than a day."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"
    REMOVED = "removed"


class CommunicationExport(Base):
    """`search_line` is that of the list, with days of `time_zone`. The rows are the communications up to
    `newest_id`, newest first.

    The next run continues below `next_id`. `run_number` counts the jobs that began, and `attempts` those since the last
    part was written. `unmasked_reason` is why phone numbers and email addresses are in it in full; "" if they are not.
    `byte_count` is the size of its content before compression, which is the size of the file for CSV and JSON lines.
    """

    __tablename__ = "communication_export"
    __table_args__ = (Index("ix_communication_export_state", "state", "id"), STRICT)

    id: Mapped[int] = mapped_column(BigIntKey, primary_key=True)
    search_line: Mapped[str] = mapped_column(Text)
    with_sms: Mapped[bool] = mapped_column(Flag)
    format: Mapped[str] = mapped_column(Text)
    time_zone: Mapped[str] = mapped_column(Text)
    unmasked_reason: Mapped[str] = mapped_column(Text, default="")
    state: Mapped[str] = mapped_column(Text, default=ExportState.PENDING)
    problem: Mapped[str] = mapped_column(Text, default="")
    newest_id: Mapped[int] = mapped_column(BigIntKey)
    next_id: Mapped[int] = mapped_column(BigIntKey)
    row_count: Mapped[int] = mapped_column(BigIntKey, default=0)
    byte_count: Mapped[int] = mapped_column(BigIntKey, default=0)
    part_count: Mapped[int] = mapped_column(default=0)
    run_number: Mapped[int] = mapped_column(default=0)
    attempts: Mapped[int] = mapped_column(default=0)
    created_at_ms: Mapped[int] = mapped_column(Millis)
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    finished_at_ms: Mapped[int | None] = mapped_column(Millis)
    expires_at_ms: Mapped[int | None] = mapped_column(Millis)

    created_by: Mapped[Account | None] = relationship()

    @property
    def percent_done(self) -> int:
        """By ids, because nothing counts the rows that a search matches."""
        if self.state == ExportState.DONE:
            return 100
        return 100 * (self.newest_id + 1 - self.next_id) // (self.newest_id or 1)


class ExportPart(Base):
    """Rows in the format of the export, compressed with zlib."""

    __tablename__ = "communication_export_part"
    __table_args__ = (STRICT,)

    export_id: Mapped[int] = mapped_column(ForeignKey("communication_export.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)


def recent_exports(limit: int) -> list[CommunicationExport]:
    """Newest first."""
    query = select(CommunicationExport).options(joinedload(CommunicationExport.created_by))
    exports: Slice[CommunicationExport] = newest_first(CommunicationExport.id, limit).fetch(query)
    return exports.rows


def parts(export_id: int, count: int) -> Iterator[bytes]:
    return read_parts(ExportPart.content, ExportPart.number, ExportPart.export_id == export_id, count)


def remove_expired(now_ms: int) -> None:
    query = update(CommunicationExport).where(CommunicationExport.expires_at_ms <= now_ms)
    ended = query.where(CommunicationExport.state.in_((ExportState.DONE, ExportState.FAILED)))
    updated_count(ended.values(state=ExportState.REMOVED))


def delete_ended(before_ms: int) -> None:
    """With their search lines, which may name a person. Inside a transaction."""
    ended = delete(CommunicationExport).where(
        CommunicationExport.state.in_((ExportState.FAILED, ExportState.REMOVED)), CommunicationExport.part_count == 0
    )
    db.session.execute(ended.where(CommunicationExport.created_at_ms < before_ms))


def delete_some_parts() -> bool:
    """Of exports that cannot be downloaded any more. Returns whether there may be more."""
    ended = select(CommunicationExport.id).where(
        CommunicationExport.state.in_((ExportState.FAILED, ExportState.REMOVED)), CommunicationExport.part_count > 0
    )
    export_id = db.session.scalar(ended.order_by(CommunicationExport.id).limit(1))
    if export_id is None:
        return False
    of_export = ExportPart.export_id == export_id
    numbers = list(db.session.scalars(select(ExportPart.number).where(of_export).limit(_PARTS_DELETED_AT_ONCE)))
    db.session.execute(delete(ExportPart).where(of_export, ExportPart.number.in_(numbers)))
    if len(numbers) < _PARTS_DELETED_AT_ONCE:
        updated_count(update(CommunicationExport).where(CommunicationExport.id == export_id).values(part_count=0))
    return True

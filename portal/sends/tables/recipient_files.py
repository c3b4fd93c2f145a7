"""Recipient files: who gets one send, and the values of each of them (docs/reliability.md#recipient-files)."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, Text, delete, func, or_, select, update
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship

from portal.accounts.tables.accounts import RECIPIENT_COLUMNS, Account, Recipient
from portal.accounts.tables.attributes import with_attributes
from portal.content.tables.templates import TemplateVersion
from portal.core.column_types import STRICT, BigIntKey, Flag, Json, Millis
from portal.core.extensions import Base, db
from portal.core.keyset import Keyset, Slice
from portal.core.rules.case_folding import fold_case
from portal.core.statements import updated_count
from portal.sends.tables.sends import Send

_BATCH_SIZE = 1_000


class RecipientFileState(StrEnum):
    """A refused file cannot be used as a whole; a failed check was tried too often."""

    PENDING = "pending"
    CHECKED = "checked"
    REFUSED = "refused"
    FAILED = "failed"


class RecipientFile(Base):
    """`content` is the upload, until it is checked with the template version. `data` are the values for everyone,
    `fields` the `data.…` names of which the file has a column. `send_id` is the latest send that used the file.

    `checked_through` is the last row that is checked, `run_number` counts the jobs that began to check, and `attempts`
    those since the last row was written.
    """

    __tablename__ = "recipient_file"
    __table_args__ = (
        Index("ix_recipient_file_state", "state", "id"),
        Index("ix_recipient_file_digest", "digest", "id"),
        STRICT,
    )

    id: Mapped[int] = mapped_column(BigIntKey, primary_key=True)
    template_version_id: Mapped[int] = mapped_column(ForeignKey("template_version.id"))
    file_name: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(Text)
    content: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    data: Mapped[Any] = mapped_column(Json, default=dict)
    fields: Mapped[Any] = mapped_column(Json, default=list)
    state: Mapped[str] = mapped_column(Text, default=RecipientFileState.PENDING)
    problem: Mapped[str] = mapped_column(Text, default="")
    warnings: Mapped[Any] = mapped_column(Json, default=list)
    good_rows: Mapped[int] = mapped_column(default=0)
    bad_rows: Mapped[int] = mapped_column(default=0)
    checked_through: Mapped[int] = mapped_column(default=0)
    run_number: Mapped[int] = mapped_column(default=0)
    attempts: Mapped[int] = mapped_column(default=0)
    created_at_ms: Mapped[int] = mapped_column(Millis)
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    started_at_ms: Mapped[int | None] = mapped_column(Millis)
    finished_at_ms: Mapped[int | None] = mapped_column(Millis)
    values_deleted_at_ms: Mapped[int | None] = mapped_column(Millis)
    send_id: Mapped[int | None] = mapped_column(ForeignKey("send.id"))

    version: Mapped[TemplateVersion] = relationship()
    created_by: Mapped[Account | None] = relationship()
    send: Mapped[Send | None] = relationship()


class RecipientRow(Base):
    """A row with its values that are not blank. Of several rows about an account, only the first has `account_id`."""

    __tablename__ = "recipient_row"
    __table_args__ = (Index("uq_recipient_row_account", "file_id", "account_id", unique=True), STRICT)

    file_id: Mapped[int] = mapped_column(ForeignKey("recipient_file.id"), primary_key=True)
    row_number: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    is_good: Mapped[bool] = mapped_column(Flag)
    external_id: Mapped[str] = mapped_column(Text)
    data: Mapped[Any] = mapped_column(Json)


class RecipientRowError(Base):
    """`column_label` as the spreadsheet shows the column: its letter and its heading."""

    __tablename__ = "recipient_row_error"
    __table_args__ = (STRICT,)

    file_id: Mapped[int] = mapped_column(ForeignKey("recipient_file.id"), primary_key=True)
    row_number: Mapped[int] = mapped_column(primary_key=True)
    column_label: Mapped[str] = mapped_column(Text, primary_key=True)
    message: Mapped[str] = mapped_column(Text)


def files_page(keyset: Keyset) -> Slice[RecipientFile]:
    """With their templates, authors and sends."""
    query = select(RecipientFile).options(
        joinedload(RecipientFile.created_by),
        joinedload(RecipientFile.version).joinedload(TemplateVersion.template),
        joinedload(RecipientFile.send),
    )
    return keyset.fetch(query)


def content_of(file_id: int) -> bytes:
    return db.session.scalar(select(RecipientFile.content).where(RecipientFile.id == file_id)) or b""


def earlier_upload(file: RecipientFile, since_ms: int) -> RecipientFile | None:
    """The latest upload of the same file for the same template, not before `since_ms`."""
    query = (
        select(RecipientFile)
        .options(joinedload(RecipientFile.created_by))
        .join(RecipientFile.version)
        .where(RecipientFile.digest == file.digest, RecipientFile.id < file.id, RecipientFile.created_at_ms >= since_ms)
        .where(TemplateVersion.template_id == file.version.template_id)
    )
    return db.session.scalars(query.order_by(RecipientFile.id.desc()).limit(1)).first()


def people_by_number(external_ids: Sequence[str], attributes: Collection[str]) -> dict[str, tuple[Recipient, bool]]:
    """The existing accounts by folded account number, with these attributes, and whether each is active."""
    columns = (Account.external_id_folded, Account.active, *RECIPIENT_COLUMNS)
    query = select(*columns).where(Account.external_id_folded.in_({fold_case(number) for number in external_ids}))
    rows = [(folded, active, Recipient(*person)) for folded, active, *person in db.session.execute(query)]
    people = with_attributes([person for _folded, _active, person in rows], attributes)
    return {folded: (person, active) for (folded, active, _person), person in zip(rows, people, strict=True)}


def rows_by_account(file_id: int, account_ids: Sequence[int]) -> dict[int, int]:
    """The first row about each account, of the rows that are checked."""
    query = select(RecipientRow.account_id, RecipientRow.row_number).where(
        RecipientRow.file_id == file_id, RecipientRow.account_id.in_(account_ids)
    )
    return {account_id: row for account_id, row in db.session.execute(query) if account_id}


def values_by_account(
    audience: Mapping[str, Any], data: Mapping[str, str], account_ids: Sequence[int]
) -> dict[int, Mapping[str, str]]:
    """What each account's message is filled in with: `data`, and where a recipient file has a value, that value."""
    if "recipient_file" not in audience:
        return dict.fromkeys(account_ids, data)
    query = select(RecipientRow.account_id, RecipientRow.data).where(
        RecipientRow.file_id == audience["recipient_file"], RecipientRow.account_id.in_(account_ids)
    )
    rows = {account_id: row_data for account_id, row_data in db.session.execute(query)}
    return {account_id: {**data, **rows.get(account_id, {})} for account_id in account_ids}


def row_errors(file_id: int, limit: int) -> list[RecipientRowError]:
    query = select(RecipientRowError).filter_by(file_id=file_id)
    return list(db.session.scalars(query.order_by(*RecipientRowError.__table__.primary_key).limit(limit)))


def count_errors(file_id: int) -> int:
    return db.session.scalar(select(func.count()).select_from(RecipientRowError).filter_by(file_id=file_id)) or 0


def good_rows(file_id: int) -> Iterator[RecipientRow]:
    for rows in _row_batches(file_id, is_good=True):
        yield from rows


def bad_rows(file_id: int) -> Iterator[tuple[RecipientRow, list[RecipientRowError]]]:
    """With their errors."""
    for rows in _row_batches(file_id, is_good=False):
        numbers = RecipientRowError.row_number.between(rows[0].row_number, rows[-1].row_number)
        errors: dict[int, list[RecipientRowError]] = {row.row_number: [] for row in rows}
        query = select(RecipientRowError).where(RecipientRowError.file_id == file_id, numbers)
        for error in db.session.scalars(query.order_by(RecipientRowError.column_label)):
            errors[error.row_number].append(error)
        yield from ((row, errors[row.row_number]) for row in rows)


def _row_batches(file_id: int, is_good: bool) -> Iterator[Sequence[RecipientRow]]:
    """In order; there may be 200,000 rows in all. Each batch is its own transaction, because readers may be slow."""
    after = 0
    query = select(RecipientRow).filter_by(file_id=file_id, is_good=is_good).order_by(RecipientRow.row_number)
    while rows := db.session.scalars(query.where(RecipientRow.row_number > after).limit(_BATCH_SIZE)).all():
        after = rows[-1].row_number
        yield rows
        db.session.rollback()


def delete_rows(file_id: int) -> None:
    """Of a file that turned out not to be usable."""
    db.session.execute(delete(RecipientRowError).filter_by(file_id=file_id))
    db.session.execute(delete(RecipientRow).filter_by(file_id=file_id))


def old_file_ids(before_ms: int) -> list[int]:
    """Files uploaded before that time which may still have values."""
    query = select(RecipientFile.id).where(RecipientFile.created_at_ms < before_ms)
    is_open = (RecipientFile.values_deleted_at_ms.is_(None), RecipientFile.state != RecipientFileState.PENDING)
    return list(db.session.scalars(query.where(*is_open)))


def clear_rows(file_id: int) -> bool:
    """Delete the values of a batch of rows, and bad rows altogether. False if there were none."""
    is_bad = RecipientRow.is_good == False  # noqa: E712  SQL, not Python
    has_values = or_(is_bad, RecipientRow.data != {})
    query = select(RecipientRow.row_number).where(RecipientRow.file_id == file_id, has_values)
    numbers = list(db.session.scalars(query.order_by(RecipientRow.row_number).limit(_BATCH_SIZE)))
    errors = (RecipientRowError.file_id == file_id, RecipientRowError.row_number.in_(numbers))
    rows = (RecipientRow.file_id == file_id, RecipientRow.row_number.in_(numbers))
    db.session.execute(delete(RecipientRowError).where(*errors))
    db.session.execute(delete(RecipientRow).where(*rows, is_bad))
    updated_count(update(RecipientRow).where(*rows).values(data={}))
    return bool(numbers)


def mark_cleared(file_id: int, now_ms: int) -> None:
    query = update(RecipientFile).where(RecipientFile.id == file_id)
    updated_count(query.values(values_deleted_at_ms=now_ms, content=None, data={}))

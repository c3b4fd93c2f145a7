"""The seals of the logs, the ends of their chains, and the keys."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Index, Select, Text, bindparam, func, select, update
from sqlalchemy.orm import InstrumentedAttribute, Mapped, mapped_column

from portal.core.column_types import STRICT, BigIntKey, Millis
from portal.core.extensions import Base, db
from portal.core.statements import in_list, insert_if_missing, insert_tuples


class LogSeal(Base):
    """One row for each row of a log. It stays when the row itself expires: it tells nothing of its content.

    `amendment` is a seal too, if the portal itself has emptied or deleted the row since. Nothing else ever changes.
    """

    __tablename__ = "log_seal"
    __table_args__ = (
        Index("uq_log_seal_row", "log", "row_id", unique=True),
        {**STRICT, "sqlite_with_rowid": False},
    )

    log: Mapped[str] = mapped_column(Text, primary_key=True)
    position: Mapped[int] = mapped_column(BigIntKey, primary_key=True)
    row_id: Mapped[int] = mapped_column(BigIntKey)
    key_id: Mapped[str] = mapped_column(Text)
    seal: Mapped[str] = mapped_column(Text)
    amendment: Mapped[str] = mapped_column(Text, server_default="")


class LogHead(Base):
    """The end of a log's chain, which is locked while rows are sealed."""

    __tablename__ = "log_head"
    __table_args__ = (STRICT,)

    log: Mapped[str] = mapped_column(Text, primary_key=True)
    position: Mapped[int] = mapped_column(BigIntKey)
    seal: Mapped[str] = mapped_column(Text)
    key_id: Mapped[str] = mapped_column(Text)
    head_seal: Mapped[str] = mapped_column(Text)


class LogKeyRow(Base):
    """A key with which rows are or were sealed. `secret` is encrypted with PORTAL_ENCRYPTION_KEY."""

    __tablename__ = "log_key"
    __table_args__ = (STRICT,)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    secret: Mapped[str] = mapped_column(Text)
    created_at_ms: Mapped[int] = mapped_column(Millis)


@dataclass(frozen=True)
class SealedLog:
    """`content` turns a row of `columns` into the text that is sealed."""

    name: str
    table: type[Base]
    row_id: InstrumentedAttribute[int]
    columns: Sequence[Any]
    content: Callable[[Any], str]


LOGS: dict[str, SealedLog] = {}
"""By name. The packages of the logs fill it when they are imported."""


_HEADS = select(LogHead.log, LogHead.position, LogHead.seal, LogHead.key_id, LogHead.head_seal).order_by(LogHead.log)
_LOCKED_HEAD = _HEADS.where(LogHead.log == bindparam("of_log")).with_for_update()
_MOVED_HEAD = update(LogHead).where(LogHead.log == bindparam("of_log"))


def stored_heads(for_update: bool = False) -> list[Any]:
    """Rows of `LogHead`, in the order in which everybody locks them."""
    return list(db.session.execute(_HEADS.with_for_update() if for_update else _HEADS))


def lock_head(log: str) -> Any | None:
    """A row of `LogHead`."""
    return db.session.connection().execute(_LOCKED_HEAD, {"of_log": log}).first()


def add_head(head: dict[str, Any]) -> bool:
    """False if there is one already."""
    return insert_if_missing(LogHead, head, ["log"])


def move_head(head: dict[str, Any]) -> None:
    db.session.connection().execute(_MOVED_HEAD, {"of_log": head["log"], **head})


def add_seals(rows: Sequence[tuple[str, int, int, str, str]]) -> None:
    insert_tuples(LogSeal, ("log", "position", "row_id", "key_id", "seal"), rows, ())


def last_seal(log: str) -> tuple[int, str] | None:
    query = select(LogSeal.position, LogSeal.seal).where(LogSeal.log == log).order_by(LogSeal.position.desc())
    row = db.session.execute(query.limit(1)).first()
    return (row.position, row.seal) if row else None


def seals_of(log: str, row_ids: Sequence[int]) -> dict[int, LogSeal]:
    query = select(LogSeal).where(LogSeal.log == log, in_list(LogSeal.row_id, row_ids))
    return {seal.row_id: seal for seal in db.session.scalars(query)}


def unsealed(log: SealedLog) -> Select[Any]:
    """Rows without a seal, oldest first."""
    return select(*log.columns).where(~_has_seal(log)).order_by(log.row_id)


def count_unsealed(log: SealedLog) -> tuple[int, int]:
    """The first row without a seal, and how many there are."""
    first_id, count = db.session.execute(select(func.min(log.row_id), func.count()).where(~_has_seal(log))).one()
    return first_id or 0, count


def _has_seal(log: SealedLog) -> ColumnElement[bool]:
    return select(LogSeal.position).where(LogSeal.log == log.name, LogSeal.row_id == log.row_id).exists()


_SEAL_COLUMNS = (LogSeal.position, LogSeal.row_id, LogSeal.key_id, LogSeal.seal, LogSeal.amendment)
SEAL_COLUMN_COUNT = len(_SEAL_COLUMNS)


def sealed_rows(log: SealedLog, after_position: int, limit: int) -> Iterable[Any]:
    """The seals after a place with their rows: the columns of the seal, then those of the row or None for each."""
    query = (
        select(*_SEAL_COLUMNS, *log.columns)
        .outerjoin(log.table, log.row_id == LogSeal.row_id)
        .where(LogSeal.log == log.name, LogSeal.position > after_position)
        .order_by(LogSeal.position)
        .limit(limit)
    )
    return db.session.execute(query)


def key_rows() -> list[LogKeyRow]:
    return list(db.session.scalars(select(LogKeyRow).order_by(LogKeyRow.created_at_ms, LogKeyRow.id)))


def last_row_id(log: SealedLog, before_id: int | None = None) -> int:
    query = select(func.max(log.row_id))
    return db.session.scalar(query if before_id is None else query.where(log.row_id < before_id)) or 0

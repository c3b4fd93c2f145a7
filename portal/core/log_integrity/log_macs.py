"""The MACs of the logs, the ends of their chains, and the keys."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Index, Select, Text, bindparam, func, select, text, update
from sqlalchemy.orm import InstrumentedAttribute, Mapped, mapped_column

from portal.core.column_types import STRICT, BigIntKey, Millis, encrypted_as
from portal.core.extensions import Base, db
from portal.core.statements import in_list, insert_if_missing, insert_tuples


class LogMac(Base):
    """One row for each row of a log. It stays when the row itself expires: it tells nothing of its content.

    `amendment` is a MAC too, if the portal itself has emptied or deleted the row since. Nothing else ever changes.
    """

    __tablename__ = "log_mac"
    __table_args__ = (
        Index("uq_log_mac_row", "log", "row_id", unique=True),
        {**STRICT, "sqlite_with_rowid": False},
    )

    log: Mapped[str] = mapped_column(Text, primary_key=True)
    position: Mapped[int] = mapped_column(BigIntKey, primary_key=True)
    row_id: Mapped[int] = mapped_column(BigIntKey)
    key_id: Mapped[str] = mapped_column(Text)
    mac: Mapped[str] = mapped_column(Text)
    amendment: Mapped[str] = mapped_column(Text, default="", server_default=text("''"))


class LogHead(Base):
    """The end of a log's chain, which is locked while rows are added."""

    __tablename__ = "log_head"
    __table_args__ = (STRICT,)

    log: Mapped[str] = mapped_column(Text, primary_key=True)
    position: Mapped[int] = mapped_column(BigIntKey)
    mac: Mapped[str] = mapped_column(Text)
    key_id: Mapped[str] = mapped_column(Text)
    head_mac: Mapped[str] = mapped_column(Text)


def log_key_name(key_id: str) -> str:
    return f"Log key {key_id}"


class LogKeyRow(Base):
    """A key with which rows are or were protected. `secret` is encrypted with PORTAL_ENCRYPTION_KEY."""

    __tablename__ = "log_key"
    __table_args__ = (STRICT,)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    secret: Mapped[str] = mapped_column(Text, info=encrypted_as(lambda row: log_key_name(row["id"])))
    created_at_ms: Mapped[int] = mapped_column(Millis)


@dataclass(frozen=True)
class ProtectedLog:
    """`content` turns a row of `columns` into the text that the MAC covers."""

    name: str
    table: type[Base]
    row_id: InstrumentedAttribute[int]
    columns: Sequence[Any]
    content: Callable[[Any], str]


LOGS: dict[str, ProtectedLog] = {}
"""By name. The packages of the logs fill it when they are imported."""


_HEADS = select(LogHead.log, LogHead.position, LogHead.mac, LogHead.key_id, LogHead.head_mac).order_by(LogHead.log)
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


def add_macs(rows: Sequence[tuple[str, int, int, str, str]]) -> None:
    insert_tuples(LogMac, ("log", "position", "row_id", "key_id", "mac"), rows, ())


def last_mac(log: str) -> tuple[int, str] | None:
    query = select(LogMac.position, LogMac.mac).where(LogMac.log == log).order_by(LogMac.position.desc())
    row = db.session.execute(query.limit(1)).first()
    return (row.position, row.mac) if row else None


def macs_of(log: str, row_ids: Sequence[int]) -> dict[int, LogMac]:
    query = select(LogMac).where(LogMac.log == log, in_list(LogMac.row_id, row_ids))
    return {mac.row_id: mac for mac in db.session.scalars(query)}


def unprotected(log: ProtectedLog) -> Select[Any]:
    """Rows without a MAC, oldest first."""
    return select(*log.columns).where(~_has_mac(log)).order_by(log.row_id)


def count_unprotected(log: ProtectedLog) -> tuple[int, int]:
    """The first row without a MAC, and how many there are."""
    first_id, count = db.session.execute(select(func.min(log.row_id), func.count()).where(~_has_mac(log))).one()
    return first_id or 0, count


def _has_mac(log: ProtectedLog) -> ColumnElement[bool]:
    return select(LogMac.position).where(LogMac.log == log.name, LogMac.row_id == log.row_id).exists()


_MAC_COLUMNS = (LogMac.position, LogMac.row_id, LogMac.key_id, LogMac.mac, LogMac.amendment)
MAC_COLUMN_COUNT = len(_MAC_COLUMNS)


def protected_rows(log: ProtectedLog, after_position: int, limit: int) -> Iterable[Any]:
    """The MACs after a place with their rows: the columns of the MAC, then those of the row or None for each."""
    query = (
        select(*_MAC_COLUMNS, *log.columns)
        .outerjoin(log.table, log.row_id == LogMac.row_id)
        .where(LogMac.log == log.name, LogMac.position > after_position)
        .order_by(LogMac.position)
        .limit(limit)
    )
    return db.session.execute(query)


def key_rows() -> list[LogKeyRow]:
    return list(db.session.scalars(select(LogKeyRow).order_by(LogKeyRow.created_at_ms, LogKeyRow.id)))


def last_row_id(log: ProtectedLog, before_id: int | None = None) -> int:
    query = select(func.max(log.row_id))
    return db.session.scalar(query if before_id is None else query.where(log.row_id < before_id)) or 0

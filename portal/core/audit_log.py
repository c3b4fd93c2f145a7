"""The audit log: who did what, and when. Rows are only added, each with a message authentication code (ADR 63)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Index, Select, Text, delete, func, select, text, type_coerce, update
from sqlalchemy.orm import Mapped, QueryableAttribute, joinedload, mapped_column, relationship

from portal.core.column_types import STRICT, BigIntKey, Json, Millis, to_json
from portal.core.extensions import Base, db
from portal.core.log_integrity import mac_writing
from portal.core.log_integrity.log_macs import LOGS, ProtectedLog
from portal.core.statements import in_list, insert_tuples

if TYPE_CHECKING:
    from portal.accounts.tables.accounts import Account


class AuditEntry(Base):
    """`action` is a key of `operations.rules.audit_labels`, `subject` is its object. No secrets or full numbers."""

    __tablename__ = "audit_entry"
    __table_args__ = (
        Index("ix_audit_entry_subject", "subject", "id"),
        Index("ix_audit_entry_action", "action", "id"),
        Index("ix_audit_entry_actor_id", "actor_id", "id"),
        Index("ix_audit_entry_at_ms", "at_ms"),
        STRICT,
    )

    id: Mapped[int] = mapped_column(BigIntKey, primary_key=True)
    at_ms: Mapped[int] = mapped_column(Millis)
    actor_id: Mapped[int | None] = mapped_column(BigIntKey)
    action: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    detail: Mapped[Any] = mapped_column(Json)

    actor: Mapped["Account | None"] = relationship(
        primaryjoin="foreign(AuditEntry.actor_id) == Account.id", viewonly=True
    )


AUDIT_LOG = "audit"
_PENDING = "audit entries to add"
_COLUMNS = ("id", "at_ms", "actor_id", "action", "subject", "detail")


def record_audit_entry(action: str, subject: str, actor_id: int | None, now_ms: int, **detail: Any) -> None:
    """Must be called inside a transaction, at whose end the entry is added."""
    record_audit_entries(action, {subject: detail}, actor_id, now_ms)


def record_audit_entries(
    action: str, details: Mapping[str, Mapping[str, Any]], actor_id: int | None, now_ms: int
) -> None:
    """One for each of many subjects, with its detail. Must be called inside a transaction."""
    pending = db.session.info.setdefault(_PENDING, [])
    pending += [(now_ms, actor_id, str(action), subject, to_json(detail)) for subject, detail in details.items()]


def forget_pending_entries() -> None:
    db.session.info.pop(_PENDING, None)


def add_pending_entries() -> None:
    """Their ids are taken first, because the MACs cover them."""
    entries = db.session.info.pop(_PENDING, [])
    if entries:
        rows = [(row_id, *entry) for row_id, entry in zip(_take_ids(len(entries)), entries, strict=True)]
        insert_tuples(AuditEntry, _COLUMNS, rows, ())
        mac_writing.note_rows(AUDIT_LOG, [(row[0], _content(row)) for row in rows], rows[-1][1])


def empty_entries(ids: Sequence[int], detail: Mapping[str, Any], now_ms: int) -> None:
    """Keep no more than this detail of them: what they quote was erased."""
    query = select(*_STORED[:-1]).where(in_list(AuditEntry.id, ids))
    contents = {row.id: _content((*row, to_json(detail))) for row in db.session.execute(query)}
    mac_writing.amend_rows(AUDIT_LOG, contents, now_ms)
    _execute(update(AuditEntry).where(in_list(AuditEntry.id, ids)).values(detail=dict(detail)))


def remove_entries(ids: Sequence[int], now_ms: int) -> int:
    """Those that have expired. Their MACs stay, and show that the portal removed them."""
    mac_writing.remove_rows(AUDIT_LOG, ids, now_ms)
    return _execute(delete(AuditEntry).where(in_list(AuditEntry.id, ids)))


def _take_ids(count: int) -> list[int]:
    """On SQLite a transaction holds the write lock, and an id is never used again: its MAC stays."""
    connection = db.session.connection()
    if connection.dialect.name == "sqlite":
        first = 1 + int(connection.scalar(_LAST_ID) or 0)
        return list(range(first, first + count))
    return list(connection.scalars(_NEXT_IDS, {"count": count}))


_LAST_ID = text(
    "SELECT max(coalesce((SELECT max(id) FROM audit_entry), 0),"
    " coalesce((SELECT max(row_id) FROM log_mac WHERE log = 'audit'), 0))"
)
_NEXT_IDS = text("SELECT nextval(pg_get_serial_sequence('audit_entry', 'id')) FROM generate_series(1, :count)")
_STORED = (*(getattr(AuditEntry, name) for name in _COLUMNS[:-1]), type_coerce(AuditEntry.detail, Text).label("detail"))


def _content(row: Sequence[Any]) -> str:
    """What the MAC covers: the row as it is stored, its detail as text."""
    return json.dumps(list(row), separators=(",", ":"), ensure_ascii=False)


LOGS[AUDIT_LOG] = ProtectedLog(AUDIT_LOG, AuditEntry, AuditEntry.id, _STORED, _content)


def _execute(statement: Any) -> int:
    result: Any = db.session.execute(statement, execution_options={"synchronize_session": False})
    return int(result.rowcount)


@dataclass(frozen=True)
class AuditFilter:
    """Limits a log to the actions of the accounts in `actor_ids`, to what is about one of `subjects`, and to the time
    from `since_ms` to `until_ms`.
    """

    actor_ids: Select[Any] | None = None
    subjects: Sequence[str] = ()
    since_ms: int | None = None
    until_ms: int | None = None

    def conditions(
        self, actor: QueryableAttribute[Any], at_ms: QueryableAttribute[int], subject: QueryableAttribute[str]
    ) -> list[ColumnElement[bool]]:
        return [
            *([subject.in_(self.subjects)] if self.subjects else []),
            *([actor.in_(self.actor_ids)] if self.actor_ids is not None else []),
            *([at_ms >= self.since_ms] if self.since_ms is not None else []),
            *([at_ms < self.until_ms] if self.until_ms is not None else []),
        ]

    def includes_portal(self, at_ms: int) -> bool:
        """Whether something that the portal did by itself at this time is included."""
        is_since = self.since_ms is None or at_ms >= self.since_ms
        is_about_all = self.actor_ids is None and not self.subjects
        return is_about_all and is_since and (self.until_ms is None or at_ms < self.until_ms)


EVERYTHING = AuditFilter()


def audit_page_before(
    before: int | None, limit: int, actions: Sequence[str] = (), entry_filter: AuditFilter = EVERYTHING
) -> list[AuditEntry]:
    """Entries with an id below `before`, newest first, with their actors; `actions` limits them to these."""
    query = select(AuditEntry).options(joinedload(AuditEntry.actor)).order_by(AuditEntry.id.desc()).limit(limit)
    if before is not None:
        query = query.where(AuditEntry.id < before)
    if actions:
        query = query.where(AuditEntry.action.in_(actions))
    columns = AuditEntry.actor_id, AuditEntry.at_ms, AuditEntry.subject
    return list(db.session.scalars(query.where(*entry_filter.conditions(*columns))))


def entries_about(subject: str, actions: Sequence[str]) -> list[AuditEntry]:
    """All entries with this subject and one of these actions, oldest first; also those of the present transaction."""
    add_pending_entries()
    query = select(AuditEntry).where(AuditEntry.subject == subject, AuditEntry.action.in_(actions))
    return list(db.session.scalars(query.order_by(AuditEntry.id)))


def latest_entries(subjects: Sequence[str], actions: Sequence[str]) -> dict[str, AuditEntry]:
    """The latest entry about each subject with one of these actions, with its actor."""
    query = select(AuditEntry).options(joinedload(AuditEntry.actor)).order_by(AuditEntry.id)
    query = query.where(AuditEntry.subject.in_(subjects), AuditEntry.action.in_(actions))
    return {entry.subject: entry for entry in db.session.scalars(query)}


def count_by_action(actions: Sequence[str]) -> dict[str, int]:
    query = select(AuditEntry.action, func.count()).where(AuditEntry.action.in_(actions)).group_by(AuditEntry.action)
    return {action: count for action, count in db.session.execute(query)}


def has_recent_entry(action: str, subject: str, actor_id: int, since_ms: int) -> bool:
    """Whether one of the newest thousand entries about the subject is such an action of the account since then."""
    newest = select(AuditEntry.id).where(AuditEntry.subject == subject).order_by(AuditEntry.id.desc()).limit(1_000)
    matches = (AuditEntry.action == action, AuditEntry.actor_id == actor_id, AuditEntry.at_ms >= since_ms)
    query = select(AuditEntry.id).where(AuditEntry.id.in_(newest), *matches)
    return db.session.scalar(query.limit(1)) is not None


def latest_entry_about(subject: str) -> AuditEntry | None:
    query = select(AuditEntry).options(joinedload(AuditEntry.actor)).where(AuditEntry.subject == subject)
    return db.session.scalars(query.order_by(AuditEntry.id.desc()).limit(1)).first()

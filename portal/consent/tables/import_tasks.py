"""Import tasks: imports that a worker does for an administrator (docs/reliability.md#import-tasks)."""

from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, Text, delete, select, text
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship

from portal.accounts.tables.accounts import Account
from portal.core.column_types import STRICT, BigIntKey, Json, Millis
from portal.core.extensions import Base, db


class ImportTaskKind(StrEnum):
    OPT_OUTS = "import_opt_outs"
    OPT_INS = "import_opt_ins"
    ATTRIBUTES = "import_attributes"
    ACCOUNTS = "import_accounts"


class ImportTaskState(StrEnum):
    """An upload is checked first, and then waits for somebody to confirm what it would do.

    A refused task did nothing because of what it was given; a failed one was tried too often.
    """

    CHECKING = "checking"
    CHECKED = "checked"
    PENDING = "pending"
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


class ImportTask(Base):
    """`upload` is a file until it is checked, `content` its text until the task is done or refused.

    `preview` is what the check found, `result` how the task ended, for people. `options` were chosen with the file.
    Of imports that are done in parts, `previewed_rows` is what the check found for each row, and `progress` what has
    been done.
    """

    __tablename__ = "import_task"
    __table_args__ = (Index("ix_import_task_state", "state", "id"), STRICT)

    id: Mapped[int] = mapped_column(BigIntKey, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    content: Mapped[str | None] = mapped_column(Text, deferred=True)
    upload: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    file_name: Mapped[str] = mapped_column(Text, default="", server_default=text("''"))
    preview: Mapped[Any] = mapped_column(Json, default=dict, server_default="{}")
    previewed_rows: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    options: Mapped[Any] = mapped_column(Json, default=dict, server_default="{}")
    progress: Mapped[Any] = mapped_column(Json, default=dict, server_default="{}")
    state: Mapped[str] = mapped_column(Text, default=ImportTaskState.PENDING)
    attempts: Mapped[int] = mapped_column(default=0)
    result: Mapped[str] = mapped_column(Text, default="")
    ip: Mapped[str] = mapped_column(Text)
    user_agent: Mapped[str] = mapped_column(Text)
    created_at_ms: Mapped[int] = mapped_column(Millis)
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    started_at_ms: Mapped[int | None] = mapped_column(Millis)
    finished_at_ms: Mapped[int | None] = mapped_column(Millis)

    created_by: Mapped[Account | None] = relationship()


def pending_task_ids() -> list[int]:
    states = (ImportTaskState.PENDING, ImportTaskState.CHECKING)
    query = select(ImportTask.id).where(ImportTask.state.in_(states))
    return list(db.session.scalars(query.order_by(ImportTask.id)))


def delete_unconfirmed(before_ms: int) -> None:
    """Uploads that were checked and that nobody has imported. Inside a transaction."""
    query = delete(ImportTask).where(ImportTask.state == ImportTaskState.CHECKED, ImportTask.created_at_ms < before_ms)
    db.session.execute(query)


def recent_tasks(kind: ImportTaskKind, limit: int) -> list[ImportTask]:
    """Newest first."""
    query = select(ImportTask).options(joinedload(ImportTask.created_by)).where(ImportTask.kind == kind)
    return list(db.session.scalars(query.order_by(ImportTask.id.desc()).limit(limit)))

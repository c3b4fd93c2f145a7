"""How the portal's processes coordinate: heartbeats, leases, sync cursors, and the runs of long work."""

from typing import Any, TypeVar

from sqlalchemy import Text, or_, select, update
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.column_types import STRICT, Millis
from portal.core.extensions import Base, db
from portal.core.statements import insert_missing, updated_count


class Heartbeat(Base):
    __tablename__ = "heartbeat"
    __table_args__ = (STRICT,)

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    at_ms: Mapped[int] = mapped_column(Millis)


class Lease(Base):
    """The process that alone may do something, until the lease expires."""

    __tablename__ = "lease"
    __table_args__ = (STRICT,)

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    holder: Mapped[str] = mapped_column(Text)
    expires_at_ms: Mapped[int] = mapped_column(Millis)


def live_process_kinds(since_ms: int) -> set[str]:
    return set(db.session.scalars(select(Heartbeat.kind).where(Heartbeat.at_ms >= since_ms)))


def acquire_lease(lease: Lease, now_ms: int) -> bool:
    """Take or renew a lease. Returns False while another process holds it."""
    new_values = {"holder": lease.holder, "expires_at_ms": lease.expires_at_ms}
    insert_missing(Lease, [{"name": lease.name, **new_values}], ["name"])
    is_available = or_(Lease.holder == lease.holder, Lease.expires_at_ms < now_ms)
    return updated_count(update(Lease).where(Lease.name == lease.name, is_available).values(new_values)) > 0


def lease_holder(name: str) -> str | None:
    return db.session.scalar(select(Lease.holder).where(Lease.name == name))


def release_lease(name: str, holder: str) -> None:
    """Release the lease if this holder has it."""
    db.session.execute(update(Lease).where(Lease.name == name, Lease.holder == holder).values(expires_at_ms=0))


RESTORED = "restored"
"""The sync cursor that holds when the database was last found to be restored from a backup."""


class SyncCursor(Base):
    """How far an external source has been read, so that a restart continues from there."""

    __tablename__ = "sync_cursor"
    __table_args__ = (STRICT,)

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    at_ms: Mapped[int] = mapped_column(Millis)


def sync_cursor(name: str) -> int | None:
    cursor = db.session.get(SyncCursor, name, populate_existing=True)
    return cursor.at_ms if cursor else None


class RunTakenOver(Exception):
    """The work has ended, or another worker has begun a run."""


WorkRow = TypeVar("WorkRow")
"""A table of long work, with `state`, `problem`, `attempts`, `run_number` and `finished_at_ms`."""
MAX_ATTEMPTS = 5
"""After which long work is given up; its messages say so too."""


def begin_run(table: type[WorkRow], row_id: int, now_ms: int, gave_up: str) -> WorkRow | None:
    """Count the attempt before it begins, so that work that kills its worker is given up too.

    None if the work has ended, or ends now for the reason `gave_up`. Inside a transaction.
    """
    row: Any = db.session.get(table, row_id, with_for_update=True)
    if row is None or row.state != "pending":
        return None
    if row.attempts >= MAX_ATTEMPTS:
        row.state, row.problem, row.finished_at_ms = "failed", gave_up, now_ms
        return None
    row.attempts, row.run_number = row.attempts + 1, row.run_number + 1
    return row  # type: ignore[no-any-return]


def update_run(table: type[Any], row_id: int, run_number: int, **columns: Any) -> None:
    """Write what a run has come to. Raises `RunTakenOver`. Inside a transaction."""
    is_current = (table.id == row_id, table.state == "pending", table.run_number == run_number)
    if not updated_count(update(table).where(*is_current).values(**columns)):
        raise RunTakenOver


def pending_work_ids(table: type[Any]) -> list[int]:
    """Oldest first. Ends the transaction."""
    ids = list(db.session.scalars(select(table.id).where(table.state == "pending").order_by(table.id)))
    db.session.rollback()
    return ids


def heartbeats(kind: str, since_ms: int) -> list[Heartbeat]:
    """Heartbeats of one kind of process, newest first."""
    query = select(Heartbeat).where(Heartbeat.kind == kind, Heartbeat.at_ms >= since_ms)
    return list(db.session.scalars(query.order_by(Heartbeat.at_ms.desc())))

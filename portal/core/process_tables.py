"""Heartbeats, leases and sync cursors of the product's own processes."""

from typing import Any, cast

from sqlalchemy import CursorResult, Text, or_, select, update
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.column_types import STRICT, Millis
from portal.core.extensions import Base, db
from portal.core.statements import insert_missing


class Heartbeat(Base):
    __tablename__ = "heartbeat"
    __table_args__ = (STRICT,)

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    at_ms: Mapped[int] = mapped_column(Millis)


class Lease(Base):
    """Who may do a thing that only one may do at a time, until when."""

    __tablename__ = "lease"
    __table_args__ = (STRICT,)

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    holder: Mapped[str] = mapped_column(Text)
    expires_at_ms: Mapped[int] = mapped_column(Millis)


def live_process_kinds(since_ms: int) -> set[str]:
    return set(db.session.scalars(select(Heartbeat.kind).where(Heartbeat.at_ms >= since_ms)))


def acquire_lease(wanted: Lease, now_ms: int) -> bool:
    """Take or renew a lease; False while somebody else holds it."""
    insert_missing(
        Lease, [{"name": wanted.name, "holder": wanted.holder, "expires_at_ms": wanted.expires_at_ms}], ["name"]
    )
    query = update(Lease).where(
        Lease.name == wanted.name, or_(Lease.holder == wanted.holder, Lease.expires_at_ms < now_ms)
    )
    taken = db.session.execute(query.values(holder=wanted.holder, expires_at_ms=wanted.expires_at_ms))
    return cast(CursorResult[Any], taken).rowcount > 0


def lease_holder(name: str) -> str | None:
    return db.session.scalar(select(Lease.holder).where(Lease.name == name))


def release_lease(name: str, holder: str) -> None:
    """Give up what this holder has; nothing happens when somebody else has it."""
    db.session.execute(update(Lease).where(Lease.name == name, Lease.holder == holder).values(expires_at_ms=0))


RESTORED = "restored"
"""The bookmark of the moment at which the database was last found to be an older copy."""


class SyncCursor(Base):
    """How far something outside has been read, so that a restart goes on where it stopped."""

    __tablename__ = "sync_cursor"
    __table_args__ = (STRICT,)

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    at_ms: Mapped[int] = mapped_column(Millis)


def sync_cursor(name: str) -> int | None:
    found = db.session.get(SyncCursor, name, populate_existing=True)
    return found.at_ms if found else None


def heartbeats(kind: str, since_ms: int) -> list[Heartbeat]:
    """Signs of life of one kind of process, newest first."""
    query = select(Heartbeat).where(Heartbeat.kind == kind, Heartbeat.at_ms >= since_ms)
    return list(db.session.scalars(query.order_by(Heartbeat.at_ms.desc())))

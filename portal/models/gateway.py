"""Settings of the gateway, the pace of each sending number, and signs of life of our own processes."""

from typing import Any, cast

from sqlalchemy import CursorResult, Text, or_, select, update
from sqlalchemy.orm import Mapped, mapped_column

from portal.extensions import Base, db
from portal.models.types import STRICT, Key, Millis
from portal.models.upsert import insert_new


class AppSetting(Base):
    """One AppConfig setting by its exact name. `value` is JSON text; a secret's is sealed (`domain.sealing`)."""

    __tablename__ = "app_setting"
    __table_args__ = (STRICT,)

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    value: Mapped[str] = mapped_column(Text)
    changed_at_ms: Mapped[int] = mapped_column(Millis)
    changed_by_id: Mapped[int | None] = mapped_column(Key)


class Sender(Base):
    """The pace of one From number: no text may leave before `next_free_at_ms`. Paused while `paused_reason` is set."""

    __tablename__ = "sender"
    __table_args__ = (STRICT,)

    number: Mapped[str] = mapped_column(Text, primary_key=True)
    next_free_at_us: Mapped[int] = mapped_column(Millis, default=0)
    """Whole microseconds since 1970: at 250 segments a second a millisecond is too coarse."""
    paused_reason: Mapped[str] = mapped_column(Text, default="")
    paused_at_ms: Mapped[int | None] = mapped_column(Millis)


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
    until_ms: Mapped[int] = mapped_column(Millis)


def stored_settings() -> dict[str, AppSetting]:
    return {row.name: row for row in db.session.scalars(select(AppSetting))}


def kinds_alive(since_ms: int) -> set[str]:
    return set(db.session.scalars(select(Heartbeat.kind).where(Heartbeat.at_ms >= since_ms)))


def paused_senders() -> list[Sender]:
    return list(db.session.scalars(select(Sender).where(Sender.paused_reason != "").order_by(Sender.number)))


def resume_senders() -> None:
    db.session.execute(update(Sender).values(paused_reason="", paused_at_ms=None))


def locked_sender(number: str) -> Sender:
    """The sender's row, locked until the transaction ends; made when it is not there yet."""
    insert_new(Sender, [{"number": number, "next_free_at_us": 0, "paused_reason": ""}], ["number"])
    return db.session.scalars(select(Sender).where(Sender.number == number).with_for_update()).one()


def next_free_us(number: str) -> int:
    """Microseconds since 1970 before which the sender's slots are taken; 0 when it never sent."""
    return db.session.scalar(select(Sender.next_free_at_us).where(Sender.number == number)) or 0


def take_lease(wanted: Lease, now_ms: int) -> bool:
    """Take or renew a lease; False while somebody else holds it."""
    insert_new(Lease, [{"name": wanted.name, "holder": wanted.holder, "until_ms": wanted.until_ms}], ["name"])
    query = update(Lease).where(Lease.name == wanted.name, or_(Lease.holder == wanted.holder, Lease.until_ms < now_ms))
    taken = db.session.execute(query.values(holder=wanted.holder, until_ms=wanted.until_ms))
    return cast(CursorResult[Any], taken).rowcount > 0


def gateway_changed_ms() -> int:
    """When the credentials or the sender were last changed; 0 when never."""
    kinds = ("Authentication", "Settings")
    return max((row.changed_at_ms for name, row in stored_settings().items() if name.endswith(kinds)), default=0)


class Bookmark(Base):
    """How far something outside has been read, so that a restart goes on where it stopped."""

    __tablename__ = "bookmark"
    __table_args__ = (STRICT,)

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    at_ms: Mapped[int] = mapped_column(Millis)


def bookmark(name: str) -> int | None:
    found = db.session.get(Bookmark, name, populate_existing=True)
    return found.at_ms if found else None


def heartbeats(kind: str, since_ms: int) -> list[Heartbeat]:
    """Signs of life of one kind of process, newest first."""
    query = select(Heartbeat).where(Heartbeat.kind == kind, Heartbeat.at_ms >= since_ms)
    return list(db.session.scalars(query.order_by(Heartbeat.at_ms.desc())))

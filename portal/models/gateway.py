"""Settings of the gateway, the pace of each sending number, and signs of life of our own processes."""

from sqlalchemy import Text, select
from sqlalchemy.orm import Mapped, mapped_column

from portal.extensions import Base, db
from portal.models.types import STRICT, Key, Millis


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

"""Settings of the gateway, the pace of each sending number, and signs of life of our own processes."""

from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple, cast

from sqlalchemy import CursorResult, ForeignKey, Index, Select, Text, func, or_, select, text, update
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship

from portal.accounts.tables.accounts import Account
from portal.core.column_types import STRICT, BigIntKey, Millis
from portal.core.extensions import Base, db
from portal.core.statements import insert_missing


class AppSetting(Base):
    """One AppConfig setting by its exact name. `value` is JSON text; a secret's is sealed (`settings.rules.encryption`)."""

    __tablename__ = "app_setting"
    __table_args__ = (STRICT,)

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    value: Mapped[str] = mapped_column(Text)
    changed_at_ms: Mapped[int] = mapped_column(Millis)
    changed_by_id: Mapped[int | None] = mapped_column(BigIntKey)
    expires_at_ms: Mapped[int | None] = mapped_column(Millis)
    """When a switch that ends by itself is over; it is not written again then, but read as off."""


class SettingChange(Base):
    """One line of a history that only grows. `source` is page, shell, or end for a switch that ended by itself.

    `before` and `after` are as `Configuration.noted` writes them: no part of any secret.
    """

    __tablename__ = "setting_change"
    __table_args__ = (Index("ix_setting_change_name", "name", "id"), STRICT)

    id: Mapped[int] = mapped_column(BigIntKey, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    old_value: Mapped[str] = mapped_column(Text)
    new_value: Mapped[str] = mapped_column(Text)
    expires_at_ms: Mapped[int | None] = mapped_column(Millis)
    at_ms: Mapped[int] = mapped_column(Millis)
    changed_by_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))

    changed_by: Mapped[Account | None] = relationship()


class SendingNumber(Base):
    """The pace of one From number: no text may leave before `next_free_at_ms`. Paused while `paused_reason` is set."""

    __tablename__ = "sending_number"
    __table_args__ = (STRICT,)

    number: Mapped[str] = mapped_column(Text, primary_key=True)
    next_free_at_us: Mapped[int] = mapped_column(Millis, default=0)
    """Whole microseconds since 1970: at 250 segments a second a millisecond is too coarse."""
    paused_reason: Mapped[str] = mapped_column(Text, default="")
    paused_at_ms: Mapped[int | None] = mapped_column(Millis)
    resumed_at_ms: Mapped[int | None] = mapped_column(Millis)
    consecutive_failures: Mapped[int] = mapped_column(default=0, server_default="0")
    """Calls in a row that were not answered; from `delivery.rules.circuit_breaker.OPENS_AFTER` on the number rests between them."""
    retry_at_us: Mapped[int] = mapped_column(Millis, default=0, server_default="0")
    down_since_ms: Mapped[int | None] = mapped_column(Millis)
    """Since when the provider has not answered, or could not be reached; null while it answers."""
    limit_resets_at_ms: Mapped[int] = mapped_column(Millis, default=0, server_default="0")
    """Until when nothing leaves since a limit is used up; `limit_code` says which."""
    limit_code: Mapped[str] = mapped_column(Text, default="", server_default=text("''"))
    unrecognized_rejections: Mapped[str] = mapped_column(Text, default="", server_default=text("''"))
    """Who was refused, and nobody knows why, since a text was last taken (`delivery.rules.unexplained_rejections`)."""
    unrecognized_failures: Mapped[str] = mapped_column(Text, default="", server_default=text("''"))
    """The same of texts that were taken and failed, since one was last delivered."""


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


class StoredSetting(NamedTuple):
    """A row of `app_setting` as plain values: read at every cycle of the lane, never from a session's memory."""

    name: str
    value: str
    changed_at_ms: int
    expires_at_ms: int | None


def stored_settings(*names: str) -> dict[str, StoredSetting]:
    """These, or all of them.

    Read with every call from outside and every claim, so past the session, which would take as long again.
    """
    return {row.name: StoredSetting(*row) for row in db.session.connection().execute(_settings_query(names))}


@cache
def _settings_query(names: tuple[str, ...]) -> Select[str, str, int, int | None]:
    query = select(AppSetting.name, AppSetting.value, AppSetting.changed_at_ms, AppSetting.expires_at_ms)
    return query.where(AppSetting.name.in_(names)) if names else query


def replace_ciphertext(name: str, sealed: str) -> None:
    """The same secret under another key: no change of the setting."""
    db.session.execute(update(AppSetting).where(AppSetting.name == name).values(value=sealed))


def lock_settings() -> None:
    """Inside a transaction: nobody else changes a setting until it ends. SQLite has one writer at a time as it is."""
    if db.session.get_bind().dialect.name == "postgresql":
        db.session.execute(text("LOCK TABLE app_setting IN SHARE ROW EXCLUSIVE MODE"))


def setting_changes(limit: int, name: str = "", before_id: int | None = None) -> list[SettingChange]:
    """The newest first, of one setting or of all."""
    query = select(SettingChange).options(joinedload(SettingChange.changed_by)).order_by(SettingChange.id.desc())
    if name:
        query = query.where(SettingChange.name == name)
    if before_id is not None:
        query = query.where(SettingChange.id < before_id)
    return list(db.session.scalars(query.limit(limit)))


def latest_setting_changes() -> list[SettingChange]:
    """The newest line of each setting."""
    newest = select(func.max(SettingChange.id)).group_by(SettingChange.name)
    query = select(SettingChange).options(joinedload(SettingChange.changed_by)).where(SettingChange.id.in_(newest))
    return list(db.session.scalars(query))


def live_process_kinds(since_ms: int) -> set[str]:
    return set(db.session.scalars(select(Heartbeat.kind).where(Heartbeat.at_ms >= since_ms)))


def paused_senders() -> list[SendingNumber]:
    return list(
        db.session.scalars(
            select(SendingNumber).where(SendingNumber.paused_reason != "").order_by(SendingNumber.number)
        )
    )


def is_any_sender_down(numbers: Iterable[str], before_ms: int) -> bool:
    """Whether the provider has been away from any of these numbers since then or longer."""
    query = select(SendingNumber.number).where(
        SendingNumber.number.in_(numbers), SendingNumber.down_since_ms <= before_ms
    )
    return db.session.scalar(query.limit(1)) is not None


def all_sending_numbers() -> list[str]:
    """Every number and messaging service that texts were ever sent from."""
    return list(db.session.scalars(select(SendingNumber.number).order_by(SendingNumber.number)))


def pause_sender(number: str, reason: str, attempted_at_ms: int, now_ms: int) -> None:
    """Inside a transaction. The first reason stands until somebody has mended it.

    What is said of a text from before the settings were mended, or the sender resumed, says nothing of it now.
    """
    if gateway_changed_ms() > attempted_at_ms:
        return
    still_so = or_(SendingNumber.resumed_at_ms.is_(None), SendingNumber.resumed_at_ms <= attempted_at_ms)
    query = update(SendingNumber).where(SendingNumber.number == number, SendingNumber.paused_reason == "", still_so)
    db.session.execute(query.values(paused_reason=reason, paused_at_ms=now_ms))


def set_sender_limit(number: str, code: str, until_ms: int, attempted_at_ms: int) -> None:
    """Inside a transaction. A limit is used up until then. News of an older text says nothing, as of a pause."""
    if gateway_changed_ms() > attempted_at_ms:
        return
    still_so = or_(SendingNumber.resumed_at_ms.is_(None), SendingNumber.resumed_at_ms <= attempted_at_ms)
    query = update(SendingNumber).where(
        SendingNumber.number == number, SendingNumber.limit_resets_at_ms < until_ms, still_so
    )
    db.session.execute(query.values(limit_resets_at_ms=until_ms, limit_code=code))


def rate_limited_senders(now_ms: int) -> list[SendingNumber]:
    """Those that a limit keeps."""
    return list(
        db.session.scalars(
            select(SendingNumber).where(SendingNumber.limit_resets_at_ms > now_ms).order_by(SendingNumber.number)
        )
    )


def senders_with_unrecognized(name: str) -> list[SendingNumber]:
    """Those with somebody in that row: `refused_in_a_row` or `unrecognized_failures`."""
    return list(
        db.session.scalars(
            select(SendingNumber).where(getattr(SendingNumber, name) != "").order_by(SendingNumber.number)
        )
    )


def clear_unrecognized_failures(numbers: Iterable[str]) -> None:
    """A text was delivered from them: what failed before, in a row, was not their fault. Inside a transaction."""
    failed = update(SendingNumber).where(
        SendingNumber.number.in_(set(numbers)), SendingNumber.unrecognized_failures != ""
    )
    db.session.execute(failed.values(unrecognized_failures=""))


def resume_senders(now_ms: int) -> None:
    """Inside a transaction. Limits count anew as well, and so does what nobody could explain."""
    lock_all_senders()
    kept = or_(
        SendingNumber.paused_reason != "",
        SendingNumber.limit_resets_at_ms > now_ms,
        SendingNumber.unrecognized_rejections != "",
        SendingNumber.unrecognized_failures != "",
    )
    anew = {"limit_resets_at_ms": 0, "limit_code": "", "unrecognized_rejections": "", "unrecognized_failures": ""}
    query = update(SendingNumber).where(kept)
    db.session.execute(query.values(paused_reason="", paused_at_ms=None, resumed_at_ms=now_ms, **anew))


def lock_senders_by_key(numbers: Iterable[str]) -> dict[str, SendingNumber]:
    """Their rows by number, locked until the transaction ends; made when they are not there yet.

    All at once and in one order: who takes them one by one waits for another who does, in a circle.
    """
    wanted = sorted(set(numbers))
    insert_missing(
        SendingNumber, [{"number": number, "next_free_at_us": 0, "paused_reason": ""} for number in wanted], ["number"]
    )
    query = (
        select(SendingNumber).where(SendingNumber.number.in_(wanted)).order_by(SendingNumber.number).with_for_update()
    )
    return {row.number: row for row in db.session.scalars(query)}


def lock_all_senders() -> None:
    """All there are, in the same order: before some of them are changed one after the other. Inside a transaction."""
    db.session.execute(select(SendingNumber.number).order_by(SendingNumber.number).with_for_update())


def find_sender(number: str) -> SendingNumber | None:
    """As it stands now; None when it never sent."""
    return db.session.get(SendingNumber, number, populate_existing=True)


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


def gateway_changed_ms() -> int:
    """When the credentials or the sender were last changed; 0 when never."""
    kinds = ("Authentication", "Settings")
    return max((row.changed_at_ms for name, row in stored_settings().items() if name.endswith(kinds)), default=0)


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

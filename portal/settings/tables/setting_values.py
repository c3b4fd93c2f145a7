"""Settings of the gateway, the pace of each sending number, and signs of life of our own processes."""

from functools import cache
from typing import NamedTuple

from sqlalchemy import ForeignKey, Index, Select, Text, func, select, text, update
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship

from portal.accounts.tables.accounts import Account
from portal.core.column_types import STRICT, BigIntKey, Millis
from portal.core.extensions import Base, db


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


def gateway_changed_ms() -> int:
    """When the credentials or the sender were last changed; 0 when never."""
    kinds = ("Authentication", "Settings")
    return max((row.changed_at_ms for name, row in stored_settings().items() if name.endswith(kinds)), default=0)

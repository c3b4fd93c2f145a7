"""The stored AppConfig settings and the history of their changes."""

import json
from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

from sqlalchemy import ForeignKey, Index, Row, Select, Text, func, select, text
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship

from portal.accounts.tables.accounts import Account
from portal.core.audit_log import EVERYTHING, AuditFilter
from portal.core.column_types import STRICT, BigIntKey, Millis, encrypted_as
from portal.core.extensions import Base, db
from portal.core.log_integrity import mac_writing
from portal.core.log_integrity.log_macs import LOGS, ProtectedLog
from portal.core.translation import gettext as _
from portal.settings.rules.app_config import VARIABLES


class AppSetting(Base):
    """One AppConfig setting by its exact name. `value` is JSON; secrets are encrypted (`settings.rules.encryption`)."""

    __tablename__ = "app_setting"
    __table_args__ = (STRICT,)

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    value: Mapped[str] = mapped_column(Text, info=encrypted_as(lambda row: str(row["name"])))
    changed_at_ms: Mapped[int] = mapped_column(Millis)
    changed_by_id: Mapped[int | None] = mapped_column(BigIntKey)
    expires_at_ms: Mapped[int | None] = mapped_column(Millis)
    """When a switch turns itself off. Nothing is written then: from that time it reads as off."""


class SettingChange(Base):
    """An append-only history. `source` is page, cli, or expiry for a switch that turned itself off.

    The values come from `Configuration.display_value` and contain no part of a secret.
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

    author: Mapped[Account | None] = relationship()

    @property
    def changed_by(self) -> str:
        if self.source == "expiry":
            return _("Expired automatically")
        return self.author.name if self.author else _("Command line")


SETTING_HISTORY = "settings"
_COLUMNS = tuple(SettingChange.__table__.columns)


def add_setting_change(change: SettingChange) -> None:
    """Inside a transaction."""
    db.session.add(change)
    db.session.flush()
    content = _content([getattr(change, column.name) for column in _COLUMNS])
    mac_writing.note_rows(SETTING_HISTORY, [(change.id, content)], change.at_ms)


def _content(row: Sequence[Any]) -> str:
    return json.dumps(list(row), separators=(",", ":"), ensure_ascii=False)


LOGS[SETTING_HISTORY] = ProtectedLog(SETTING_HISTORY, SettingChange, SettingChange.id, _COLUMNS, _content)


def switch_expiry(name: str, at_ms: int) -> SettingChange:
    return SettingChange(name=name, source="expiry", old_value="true", new_value="false", at_ms=at_ms)


def stored_settings(*names: str) -> dict[str, Row[str, str, int, int | None]]:
    """The named settings, or all of them: their `name`, `value`, `changed_at_ms` and `expires_at_ms`.

    Every webhook and every claim reads them, so the query bypasses the ORM session, which would double its time.
    """
    return {row.name: row for row in db.session.connection().execute(_settings_query(names))}


@cache
def _settings_query(names: tuple[str, ...]) -> Select[str, str, int, int | None]:
    query = select(AppSetting.name, AppSetting.value, AppSetting.changed_at_ms, AppSetting.expires_at_ms)
    return query.where(AppSetting.name.in_(names)) if names else query


@cache
def installation_query() -> Select[str, str]:
    return select(AppSetting.name, AppSetting.value).where(AppSetting.name.in_(VARIABLES))


def lock_settings() -> None:
    """Lock out other writers until the transaction ends. SQLite has a single writer anyway."""
    if db.session.get_bind().dialect.name == "postgresql":
        db.session.execute(text("LOCK TABLE app_setting IN SHARE ROW EXCLUSIVE MODE"))


def history_entries(
    limit: int, names: Collection[str] = (), before_id: int | None = None, entry_filter: AuditFilter = EVERYTHING
) -> list[SettingChange]:
    """Changes of the named settings or of all, newest first."""
    query = select(SettingChange).options(joinedload(SettingChange.author)).order_by(SettingChange.id.desc())
    if names:
        query = query.where(SettingChange.name.in_(names))
    if before_id is not None:
        query = query.where(SettingChange.id < before_id)
    query = query.where(*entry_filter.conditions(SettingChange.changed_by_id, SettingChange.at_ms, SettingChange.name))
    return list(db.session.scalars(query.limit(limit)))


def entries_in_force(at_ms: int | None = None) -> list[SettingChange]:
    """For each setting that had been changed by then, or ever, its last change before that time, by name."""
    newest = select(func.max(SettingChange.id)).group_by(SettingChange.name)
    if at_ms is not None:
        newest = newest.where(SettingChange.at_ms <= at_ms)
    query = select(SettingChange).options(joinedload(SettingChange.author)).where(SettingChange.id.in_(newest))
    return list(db.session.scalars(query.order_by(SettingChange.name)))


def gateway_changed_ms() -> int:
    """When credentials or a sender were last changed; 0 if never."""
    suffixes = ("Authentication", "Settings")
    return max((row.changed_at_ms for name, row in stored_settings().items() if name.endswith(suffixes)), default=0)

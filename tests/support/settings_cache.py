"""Apply the settings that many tests start with.

The first test goes through `set_setting`; later ones insert the rows that this produced.
"""

from collections.abc import Hashable, Mapping
from typing import Any

from sqlalchemy import exists, func, insert, or_, select

from portal.core.clock import now_ms
from portal.core.context import settings as environment
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.messages.tables.communications import Delivery
from portal.settings import setting_changes
from portal.settings.tables.sending_numbers import SendingNumber
from portal.settings.tables.setting_values import AppSetting, SettingChange

Rows = list[dict[str, Any]]

_SETTING_TABLES = (AppSetting, SettingChange)
_TIMESTAMP_COLUMNS = ("changed_at_ms", "at_ms")
_SAVED_ROWS: dict[Hashable, list[Rows]] = {}


def apply_settings(values: Mapping[str, str], at_ms: int | None = None) -> None:
    """Set each setting in order, as the shell does, at `at_ms` (now by default)."""
    key = (*values.items(), environment().encryption_keys)
    untouched = not db.session.scalar(select(or_(*map(_has_rows, (*_SETTING_TABLES, SendingNumber, Delivery)))))
    if untouched and key in _SAVED_ROWS:
        _insert_saved_rows(_SAVED_ROWS[key], at_ms or now_ms())
        return
    before = _row_counts() if untouched else {}
    for name, text in values.items():
        setting_changes.set_setting(name, text, None, at_ms or now_ms())
    if untouched and _only_setting_tables_grew(before):
        _SAVED_ROWS[key] = [_rows_of(table) for table in _SETTING_TABLES]
    db.session.rollback()


def _has_rows(table: type[Any]) -> Any:
    return exists(select(table.__table__))


def _insert_saved_rows(saved: list[Rows], at_ms: int) -> None:
    with transaction() as session:
        for table, rows in zip(_SETTING_TABLES, saved, strict=True):
            session.execute(
                insert(table), [row | {name: at_ms for name in _TIMESTAMP_COLUMNS if name in row} for row in rows]
            )


def _rows_of(table: type[Any]) -> Rows:
    """Without `id`, which the database assigns."""
    columns = [column for column in table.__table__.columns if column.name != "id"]
    return [dict(row) for row in db.session.execute(select(*columns)).mappings()]


def _row_counts() -> dict[str, int]:
    tables = db.metadata.sorted_tables
    return {table.name: db.session.scalar(select(func.count()).select_from(table)) or 0 for table in tables}


def _only_setting_tables_grew(before: dict[str, int]) -> bool:
    grown = {name for name, count in _row_counts().items() if count != before[name]}
    return grown <= {table.__tablename__ for table in _SETTING_TABLES}

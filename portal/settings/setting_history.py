"""The history of settings. Expiries are derived, because nothing runs when a switch expires."""

from dataclasses import dataclass

from portal.settings.app_settings import configuration
from portal.settings.rules.app_config import DEFINITIONS
from portal.settings.tables.setting_values import SettingChange, latest_setting_changes, setting_changes

_EXPIRED = "Expired automatically"


@dataclass(frozen=True)
class SettingHistoryEntry:
    """`id` is 0 for a derived expiry. `expires_at_ms` is when the switch was set to turn itself off."""

    id: int
    name: str
    before: str
    after: str
    expires_at_ms: int | None
    at_ms: int
    changed_by: str


def history_entries(limit: int, name: str = "", before_id: int | None = None) -> list[SettingHistoryEntry]:
    """Recorded changes of one setting or of all, newest first."""
    return [_entry(row) for row in setting_changes(limit, name, before_id)]


def expired_switches(now_ms: int, name: str = "") -> list[SettingHistoryEntry]:
    """Switches that have expired and were not changed since."""
    expiries = configuration().expires_at_ms_by_name
    return [
        SettingHistoryEntry(0, key, "true", "false", None, expiry_ms, _EXPIRED)
        for key in ([name] if name else DEFINITIONS)
        if (expiry_ms := expiries.get(key)) is not None and expiry_ms <= now_ms
    ]


def latest_entries(now_ms: int) -> dict[str, SettingHistoryEntry]:
    """The newest entry of each setting that has one."""
    recorded = {row.name: _entry(row) for row in latest_setting_changes()}
    return recorded | {entry.name: entry for entry in expired_switches(now_ms)}


def _entry(row: SettingChange) -> SettingHistoryEntry:
    author = row.changed_by.name if row.changed_by else "The command line"
    changed_by = _EXPIRED if row.source == "expiry" else author
    values = row.old_value, row.new_value, row.expires_at_ms
    return SettingHistoryEntry(row.id, row.name, *values, row.at_ms, changed_by)

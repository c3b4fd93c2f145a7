"""Who changed which setting, when; and the ends that nobody wrote down, since nobody was there."""

from dataclasses import dataclass

from portal.settings.app_settings import configuration
from portal.settings.rules.app_config import DEFINITIONS
from portal.settings.tables.setting_values import SettingChange, latest_setting_changes, setting_changes


@dataclass(frozen=True)
class SettingHistoryEntry:
    """`id` is 0 for an end that is not written down; `expires_at_ms` when the switch was to end by itself."""

    id: int
    name: str
    before: str
    after: str
    expires_at_ms: int | None
    at_ms: int
    changed_by: str


def history_entries(limit: int, name: str = "", before_id: int | None = None) -> list[SettingHistoryEntry]:
    """What was written down, the newest first, of one setting or of all."""
    return [_entry(row) for row in setting_changes(limit, name, before_id)]


def expired_switches(now_ms: int, name: str = "") -> list[SettingHistoryEntry]:
    """Switches that are over and were not touched since."""
    ends = configuration().expires_at_ms_by_name
    return [
        SettingHistoryEntry(0, key, "true", "false", None, ends[key], "It ended by itself")
        for key in ([name] if name else DEFINITIONS)
        if key in ends and ends[key] <= now_ms
    ]


def latest_entries(now_ms: int) -> dict[str, SettingHistoryEntry]:
    """The newest line of each setting that has one."""
    written = {row.name: _entry(row) for row in latest_setting_changes()}
    return written | {line.name: line for line in expired_switches(now_ms)}


def _entry(row: SettingChange) -> SettingHistoryEntry:
    return SettingHistoryEntry(
        row.id, row.name, row.old_value, row.new_value, row.expires_at_ms, row.at_ms, _author(row)
    )


def _author(row: SettingChange) -> str:
    if row.source == "expiry":
        return "It ended by itself"
    return row.changed_by.name if row.changed_by else "The command line"

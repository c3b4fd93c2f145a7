"""The expiries of switches in their history. They are derived, because nothing runs when a switch expires."""

from portal.settings.app_settings import configuration
from portal.settings.rules.app_config import DEFINITIONS
from portal.settings.tables.setting_values import SettingChange, latest_history_entries, switch_expiry


def expired_switches(now_ms: int, name: str = "") -> list[SettingChange]:
    """Switches that have expired and were not changed since, as changes that are not stored."""
    expiries = configuration().expires_at_ms_by_name
    return [
        switch_expiry(key, expiry_ms)
        for key in ([name] if name else DEFINITIONS)
        if (expiry_ms := expiries.get(key)) is not None and expiry_ms <= now_ms
    ]


def latest_entries(now_ms: int) -> dict[str, SettingChange]:
    """The newest entry of each setting that has one."""
    return latest_history_entries() | {entry.name: entry for entry in expired_switches(now_ms)}

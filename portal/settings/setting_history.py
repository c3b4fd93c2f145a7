"""The expiries of switches in their history. They are derived, because nothing runs when a switch expires."""

from portal.settings.app_settings import configuration
from portal.settings.rules.app_config import DEFINITIONS, VARIABLES
from portal.settings.tables.setting_values import SettingChange, entries_in_force, switch_expiry


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
    return {entry.name: entry for entry in (*entries_in_force(), *expired_switches(now_ms))}


def settings_in_force(at_ms: int, channel: str) -> list[SettingChange]:
    """For each setting of the channel, the change that gave it the value it had then. Numbers, such as a price, and
    what concerns the installation are not among them: they change nothing about a message.
    """
    return [
        switch_expiry(entry.name, entry.expires_at_ms)
        if entry.expires_at_ms is not None and entry.expires_at_ms <= at_ms
        else entry
        for entry in entries_in_force(at_ms)
        if entry.name in DEFINITIONS and _concerns(entry.name, channel)
    ]


def _concerns(name: str, channel: str) -> bool:
    return DEFINITIONS[name].channel == channel and not DEFINITIONS[name].is_number and name not in VARIABLES

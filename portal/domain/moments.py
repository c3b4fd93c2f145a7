"""Times in full, for what is read far from here: evidence, files."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


def in_utc(at_ms: int) -> str:
    """2026-03-01T14:30:00.123Z"""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


def in_zone(at_ms: int, zone: str) -> str:
    """2026-03-01 09:30:00 EST; the zone by its name, such as America/New_York."""
    return f"{datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone)):%Y-%m-%d %H:%M:%S %Z}"


def start_of_day_ms(day: str, zone: str, days_later: int = 0) -> int | None:
    """When a day such as 2026-03-01 begins there, or one that is later; None for what is no day."""
    try:
        found = date.fromisoformat(day) + timedelta(days=days_later)
        return round(datetime.combine(found, time(), ZoneInfo(zone)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None

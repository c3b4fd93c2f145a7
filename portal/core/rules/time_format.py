"""Formats times in full for exports and files, and parses times in imports."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from portal.core.rules.time_zones import timezone_or_utc
from portal.core.translation import gettext as _

EARLIEST_MS = 631_152_000_000
"""1990, before the first text message: an earlier year is a typo."""
_DAY_MS = 86_400_000
_EARLIEST_ZONE_OFFSET_MS = 14 * 3_600_000
"""The earliest time zone starts a day 14 hours before UTC."""


class TimeFormatError(ValueError):
    """The time is invalid; the message tells the person who wrote it why."""


@dataclass(frozen=True)
class ParsedTime:
    """If only the `day` (2026-03-01) is known, `at_ms` is its start."""

    at_ms: int
    day: str = ""

    def latest_ms(self, now_ms: int) -> int:
        """The latest possible time; a day ends in UTC."""
        return min(self.at_ms + _DAY_MS - 1, now_ms) if self.day else self.at_ms


def parse_time(text: str, zone: tzinfo, now_ms: int) -> ParsedTime:
    """Parse a time such as 2026-03-01T14:30:00Z, or a day; `zone` is the default. Raises `TimeFormatError`.

    A future time is refused, because it would override everything recorded before it.
    """
    parsed = _parse_iso(text, zone)
    tolerance_ms = _EARLIEST_ZONE_OFFSET_MS if parsed.day else 0
    if parsed.at_ms - tolerance_ms > now_ms:
        raise TimeFormatError(_("This is in the future."))
    if parsed.at_ms < EARLIEST_MS:
        raise TimeFormatError(_("Check the year: text messages did not exist then."))
    return ParsedTime(min(parsed.at_ms, now_ms), parsed.day)


def _parse_iso(text: str, zone: tzinfo) -> ParsedTime:
    try:
        parsed = datetime.fromisoformat(text)
        at_ms = round((parsed if parsed.tzinfo else parsed.replace(tzinfo=zone)).timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise TimeFormatError(_("Write the time like 2026-03-01T14:30:00Z, or the day like 2026-03-01.")) from error
    return ParsedTime(at_ms, parsed.date().isoformat() if _is_day(text) else "")


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def format_utc(at_ms: int) -> str:
    """Such as 2026-03-01T14:30:00.123Z."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


def format_local(at_ms: int, zone: str) -> str:
    """Such as 2026-03-01 09:30:00 EST; `zone` is a name such as America/New_York."""
    return f"{datetime.fromtimestamp(at_ms / 1000, timezone_or_utc(zone)):%Y-%m-%d %H:%M:%S %Z}"


def start_of_day_ms(day: str, zone: str, days_later: int = 0) -> int | None:
    """When the day (2026-03-01), or a later one, starts in the zone; None if it is not a date."""
    try:
        target = date.fromisoformat(day) + timedelta(days=days_later)
        return round(datetime.combine(target, time(), timezone_or_utc(zone)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None

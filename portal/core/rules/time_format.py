"""Times in full, for what is read far from here: evidence, files; and times that others write down for us."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

EARLIEST_MS = 631_152_000_000
"""1990, before the first text message: what is said to be older is a mistyped year."""
_DAY_MS = 86_400_000
_EARLIEST_ZONE_OFFSET_MS = 14 * 3_600_000
"""How much earlier than in UTC a day begins on the islands where it begins first."""


class TimeFormatError(ValueError):
    """Why a moment cannot be right, for the person who wrote it."""


@dataclass(frozen=True)
class ParsedTime:
    """When something happened. `day` (2026-03-01) where no more than the day is known; `at_ms` is its beginning."""

    at_ms: int
    day: str = ""

    def latest_ms(self, now_ms: int) -> int:
        """The latest that it may have been, of a day in UTC."""
        return min(self.at_ms + _DAY_MS - 1, now_ms) if self.day else self.at_ms


def parse_time(text: str, zone: tzinfo, now_ms: int) -> ParsedTime:
    """A time such as 2026-03-01T14:30:00Z or a day; `zone` is meant where none is written. Raises `MomentError`.

    Nothing that has happened lies in the future: it would stand against everything that is said until then.
    """
    moment = _parse_iso(text, zone)
    slack_ms = _EARLIEST_ZONE_OFFSET_MS if moment.day else 0
    if moment.at_ms - slack_ms > now_ms:
        raise TimeFormatError("This lies in the future.")
    if moment.at_ms < EARLIEST_MS:
        raise TimeFormatError("Check the year: there were no texts then.")
    return ParsedTime(min(moment.at_ms, now_ms), moment.day)


def _parse_iso(text: str, zone: tzinfo) -> ParsedTime:
    try:
        found = datetime.fromisoformat(text)
        at_ms = round((found if found.tzinfo else found.replace(tzinfo=zone)).timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise TimeFormatError("Write the time like 2026-03-01T14:30:00Z, or the day like 2026-03-01.") from error
    return ParsedTime(at_ms, found.date().isoformat() if _is_day(text) else "")


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def format_utc(at_ms: int) -> str:
    """2026-03-01T14:30:00.123Z"""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


def format_local(at_ms: int, zone: str) -> str:
    """2026-03-01 09:30:00 EST; the zone by its name, such as America/New_York."""
    return f"{datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone)):%Y-%m-%d %H:%M:%S %Z}"


def start_of_day_ms(day: str, zone: str, days_later: int = 0) -> int | None:
    """When a day such as 2026-03-01 begins there, or one that is later; None for what is no day."""
    try:
        found = date.fromisoformat(day) + timedelta(days=days_later)
        return round(datetime.combine(found, time(), ZoneInfo(zone)).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None

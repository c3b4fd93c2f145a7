"""Which days' lists are due, and the phone numbers in a list (docs/twilio.md#deactivated-numbers)."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import islice

MAX_DAYS = 14
"""How far back missed days are caught up."""
_RETRY_MINUTES = (2, 15, 60)
_CHUNK = 5_000


def days_to_read(now_ms: int, next_tries: Mapping[str, int | None]) -> list[date]:
    """The oldest first. `next_tries` maps days to when the next try is due; None if the day has been read."""
    today = datetime.fromtimestamp(now_ms / 1000, UTC).date()
    days = [today - timedelta(days=back) for back in range(MAX_DAYS, 0, -1)]
    due = {day: next_tries.get(day.isoformat(), 0) for day in days}
    return [day for day, at_ms in due.items() if at_ms is not None and at_ms <= now_ms]


def next_try_ms(tries: int, now_ms: int) -> int:
    return now_ms + _RETRY_MINUTES[min(tries, len(_RETRY_MINUTES)) - 1] * 60_000


def end_of_day_ms(day: date) -> int:
    """A START of that day may be from before the deactivation, so it does not count; one of the next day does."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    return round(midnight.timestamp() * 1000) - 1


def number_chunks(lines: Iterable[str]) -> Iterator[list[str]]:
    """The numbers of the list in E.164, some thousands at a time; other lines are left out."""
    numbers = filter(None, map(_us_number, lines))
    while chunk := list(islice(numbers, _CHUNK)):
        yield chunk


def _us_number(line: str) -> str:
    """The file has ten digits, or eleven with the country code, with or without a plus."""
    digits = line.strip('" \t\r+,')
    if not (digits.isascii() and digits.isdecimal()):
        return ""
    if len(digits) == 10:
        return f"+1{digits}"
    return f"+{digits}" if len(digits) == 11 and digits.startswith("1") else ""

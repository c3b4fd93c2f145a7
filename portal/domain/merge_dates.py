"""The `date` filter: it reads complete dates only, and writes nothing that the date does not say."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from portal.domain import text_input
from portal.domain.given import Given, Unreadable

FORMS = "2027-05-28, May 28, 2027 or 28 May 2027"
TIMES = "14:30 or 2:30 PM"
_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTH = r"(?P<month>[a-z]{3,9})\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_WEEKDAY = r"(?:(?P<weekday>[a-z]{3,9})\.?,? )?"
_TIME = (
    r"(?:(?:t|,? (?:at )?)(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d{1,6}))?)?"
    r" ?(?P<half>am|pm|a\.m\.|p\.m\.)? ?(?P<zone>z|utc|gmt|[+-]\d\d:?\d\d)?)?"
)
_READ = tuple(
    re.compile(day + _TIME, re.ASCII)
    for day in (
        r"(?P<year>\d{4})-(?P<number>\d\d)-(?P<day>\d\d)",
        rf"{_WEEKDAY}{_MONTH} {_DAY},? (?P<year>\d{{4}})",
        rf"{_WEEKDAY}{_DAY}[ -]{_MONTH},?[ -](?P<year>\d{{4}})",
    )
)
_DIRECTIVE = re.compile(r"%([-_0^]?)([A-Za-z%]?)")
_SHORT = {"D": "%m/%d/%y", "x": "%m/%d/%y", "F": "%Y-%m-%d", "h": "%b", "R": "%H:%M", "T": "%H:%M:%S", "X": "%H:%M:%S"}
_SHORT |= {"r": "%I:%M:%S %p", "c": "%a %b %e %H:%M:%S %Y"}
_OF_DAY, _OF_TIME, _OF_ZONE = frozenset("aAbBCdegGjmuUVwWyY%nt"), frozenset("HIklLMpPS"), frozenset("zZ")


@dataclass(frozen=True)
class Moment:
    at: datetime
    has_time: bool


def date(value: Any, format: str = "") -> str:
    """Raises `Unreadable` for what is not a complete date, and for a time or zone that the value does not give."""
    steps = _steps(str(format))
    if value is None or not str(value).strip():
        return ""
    if isinstance(value, Given) and value.stands_in:
        return value
    moment = read(value)
    letters = {letter for _, letter in steps}
    if letters & _OF_TIME and not moment.has_time:
        raise Unreadable(value, f"has no time of day, which the format “{format}” writes. Add one, such as {TIMES}.")
    if letters & _OF_ZONE and moment.at.tzinfo is None:
        raise Unreadable(value, f"has no zone, which the format “{format}” writes. Add one, such as -05:00 or UTC.")
    return _DIRECTIVE.sub(lambda found: _written(moment.at, *found.groups()), _expanded(str(format)))


def _steps(format: str) -> list[tuple[str, str]]:
    if not format.strip():
        raise Unreadable(format, 'is no format for a date. Write one, such as date: "%B %-d, %Y".')
    steps = _DIRECTIVE.findall(_expanded(format))
    for flag, letter in steps:
        if letter not in _OF_DAY | _OF_TIME | _OF_ZONE or not letter:
            raise Unreadable(format, f"is no format for a date: it cannot write %{flag}{letter}.")
    return steps


def _expanded(format: str) -> str:
    return re.sub(r"%(%|[A-Za-z])", lambda found: _SHORT.get(found.group(1), found.group()), format)


def read(value: Any) -> Moment:
    text = text_input.code(str(value)).casefold()
    found = next((match for pattern in _READ if (match := pattern.fullmatch(text))), None)
    if found is None:
        raise Unreadable(value, f"is not a complete date. Write day, month and year, such as {FORMS}.")
    parts = found.groupdict()
    try:
        at = datetime(int(parts["year"]), _month(parts), int(parts["day"]), *_clock(parts), tzinfo=_zone(parts))
    except ValueError as error:
        raise Unreadable(value, f"is not a date. Write it as {FORMS}, and a time as {TIMES}.") from error
    if parts.get("weekday") and not _is_short_for(parts["weekday"], _DAYS[at.weekday()]):
        raise Unreadable(value, f"names another day of the week than that date has, which is {at:%A}.")
    return Moment(at, parts["hour"] is not None)


def _month(parts: dict[str, str]) -> int:
    if "number" in parts:
        return int(parts["number"])
    return next(
        place for place, name in enumerate([*_MONTHS, ""], 1) if not name or _is_short_for(parts["month"], name)
    )


def _is_short_for(word: str, name: str) -> bool:
    return word in (name, name[:3], name[:4] if name in ("september", "tuesday", "thursday") else name)


def _clock(parts: dict[str, str | None]) -> tuple[int, int, int, int]:
    """Raises `ValueError` for an hour of one digit without AM or PM, which may be either."""
    hour, half = parts["hour"], (parts["half"] or "")[:1]
    if hour is None:
        return 0, 0, 0, 0
    if not 1 <= int(hour) <= 12 if half else len(hour) < 2:
        raise ValueError(hour)
    hours = int(hour) % 12 + (12 if half == "p" else 0) if half else int(hour)
    return hours, int(parts["minute"] or 0), int(parts["second"] or 0), int((parts["fraction"] or "").ljust(6, "0"))


def _zone(parts: dict[str, str | None]) -> timezone | None:
    zone = parts["zone"]
    if not zone or zone[0] not in "+-":
        return UTC if zone else None
    away = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
    return timezone(-away if zone[0] == "-" else away)


def _written(at: datetime, flag: str, letter: str) -> str:
    if letter == "L":
        text = f"{at.microsecond // 1000:03}"
    elif letter in "ekl":
        text = f"{at.day if letter == 'e' else at.hour if letter == 'k' else at.hour % 12 or 12:2}"
    elif letter in "%nt":
        return {"%": "%", "n": "\n", "t": "\t"}[letter]
    else:
        text = at.strftime(f"%{'p' if letter == 'P' else letter}")
        text = text.lower() if letter == "P" else text
    return _padded(text, flag)


def _padded(text: str, flag: str) -> str:
    if flag == "^":
        return text.upper()
    if not flag or not text.strip().isdecimal():
        return text
    bare = text.strip().lstrip("0") or "0"
    return bare if flag == "-" else bare.rjust(len(text), " " if flag == "_" else "0")

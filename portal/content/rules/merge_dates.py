"""The `date` filter: it accepts complete dates only and never prints a part that the value lacks."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from portal.content.rules.field_values import FieldValue, FilterError
from portal.core.rules import text_input

DATE_FORMATS = "2027-05-28, May 28, 2027 or 28 May 2027"
TIME_FORMATS = "14:30 or 2:30 PM"
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
_DATE_PATTERNS = tuple(
    re.compile(day + _TIME, re.ASCII)
    for day in (
        r"(?P<year>\d{4})-(?P<number>\d\d)-(?P<day>\d\d)",
        rf"{_WEEKDAY}{_MONTH} {_DAY},? (?P<year>\d{{4}})",
        rf"{_WEEKDAY}{_DAY}[ -]{_MONTH},?[ -](?P<year>\d{{4}})",
    )
)
_DIRECTIVE = re.compile(r"%([-_0^]?)([A-Za-z%]?)")
_SHORTHANDS = {"D": "%m/%d/%y", "x": "%m/%d/%y", "F": "%Y-%m-%d", "h": "%b", "R": "%H:%M", "T": "%H:%M:%S"}
_SHORTHANDS |= {"X": "%H:%M:%S", "r": "%I:%M:%S %p", "c": "%a %b %e %H:%M:%S %Y"}
_DATE_DIRECTIVES, _TIME_DIRECTIVES, _ZONE_DIRECTIVES = set("aAbBCdegGjmuUVwWyY%nt"), set("HIklLMpPS"), set("zZ")


@dataclass(frozen=True)
class ParsedDate:
    value: datetime
    has_time: bool


def format_date(value: Any, format: str = "") -> str:
    """Raises `FilterError` for an incomplete date, or if the format needs a time or zone that the value lacks."""
    directives = _parse_format(str(format))
    if value is None or not str(value).strip():
        return ""
    if isinstance(value, FieldValue) and value.is_sample:
        return value
    parsed = parse_date(value)
    letters = {letter for _, letter in directives}
    missing = "has no {}, which the format “{}” needs. Add one, such as {}."
    if letters & _TIME_DIRECTIVES and not parsed.has_time:
        raise FilterError(value, missing.format("time of day", format, TIME_FORMATS))
    if letters & _ZONE_DIRECTIVES and parsed.value.tzinfo is None:
        raise FilterError(value, missing.format("time zone", format, "-05:00 or UTC"))
    expanded = _expand_shorthand(str(format))
    return _DIRECTIVE.sub(lambda match: _format_directive(parsed.value, *match.groups()), expanded)


def _parse_format(format: str) -> list[tuple[str, str]]:
    if not format.strip():
        raise FilterError(format, 'is not a date format. Write one, such as date: "%B %-d, %Y".')
    directives = _DIRECTIVE.findall(_expand_shorthand(format))
    for flag, letter in directives:
        if letter not in _DATE_DIRECTIVES | _TIME_DIRECTIVES | _ZONE_DIRECTIVES or not letter:
            raise FilterError(format, f"is not a date format: %{flag}{letter} is not supported.")
    return directives


def _expand_shorthand(format: str) -> str:
    return re.sub(r"%(%|[A-Za-z])", lambda match: _SHORTHANDS.get(match.group(1), match.group()), format)


def parse_date(value: Any) -> ParsedDate:
    text = text_input.clean_code(str(value)).casefold()
    match = next((match for pattern in _DATE_PATTERNS if (match := pattern.fullmatch(text))), None)
    if match is None:
        raise FilterError(value, f"is not a complete date. Write the day, month and year, such as {DATE_FORMATS}.")
    parts = match.groupdict()
    try:
        year, month, day = int(parts["year"]), _parse_month(parts), int(parts["day"])
        at = datetime(year, month, day, *_parse_time(parts), tzinfo=_parse_zone(parts))
    except ValueError as error:
        reason = f"is not a valid date. Write it as {DATE_FORMATS}, and a time as {TIME_FORMATS}."
        raise FilterError(value, reason) from error
    if parts.get("weekday") and not _is_abbreviation(parts["weekday"], _DAYS[at.weekday()]):
        raise FilterError(value, f"has the wrong day of the week: that date is a {at:%A}.")
    return ParsedDate(at, parts["hour"] is not None)


def _parse_month(parts: dict[str, str]) -> int:
    if "number" in parts:
        return int(parts["number"])
    return next((month for month, name in enumerate(_MONTHS, 1) if _is_abbreviation(parts["month"], name)), 13)


def _is_abbreviation(word: str, name: str) -> bool:
    return word in (name, name[:3], name[:4] if name in ("september", "tuesday", "thursday") else name)


def _parse_time(parts: dict[str, str | None]) -> tuple[int, int, int, int]:
    """Raises `ValueError` for a one-digit hour without AM or PM, which is ambiguous."""
    hour, half = parts["hour"], (parts["half"] or "")[:1]
    if hour is None:
        return 0, 0, 0, 0
    if not 1 <= int(hour) <= 12 if half else len(hour) < 2:
        raise ValueError(hour)
    hours = int(hour) % 12 + (12 if half == "p" else 0) if half else int(hour)
    return hours, int(parts["minute"] or 0), int(parts["second"] or 0), int((parts["fraction"] or "").ljust(6, "0"))


def _parse_zone(parts: dict[str, str | None]) -> timezone | None:
    zone = parts["zone"]
    if not zone or zone[0] not in "+-":
        return UTC if zone else None
    offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
    return timezone(-offset if zone[0] == "-" else offset)


def _format_directive(at: datetime, flag: str, letter: str) -> str:
    if letter == "L":
        text = f"{at.microsecond // 1000:03}"
    elif letter in "ekl":
        text = f"{at.day if letter == 'e' else at.hour if letter == 'k' else at.hour % 12 or 12:2}"
    elif letter in "%nt":
        return {"%": "%", "n": "\n", "t": "\t"}[letter]
    else:
        text = at.strftime(f"%{'p' if letter == 'P' else letter}")
        text = text.lower() if letter == "P" else text
    return _apply_padding(text, flag)


def _apply_padding(text: str, flag: str) -> str:
    if flag == "^":
        return text.upper()
    if not flag or not text.strip().isdecimal():
        return text
    bare = text.strip().lstrip("0") or "0"
    return bare if flag == "-" else bare.rjust(len(text), " " if flag == "_" else "0")

"""The `date` filter: it accepts complete dates only and never prints a part that the value lacks.

Names of months and days are in the language of the words around them, which need not be that of whoever reads an error.
"""

import calendar
import re
from contextvars import ContextVar
from datetime import datetime
from typing import Any

import babel.dates

from portal.content.rules.field_values import FieldValue, FilterError
from portal.core.rules import text_input
from portal.core.translation import ENGLISH, N_, current_language
from portal.core.translation import gettext as _

words_language: ContextVar[str] = ContextVar("language of the words", default=ENGLISH.code)
DATE_FORMATS = N_("2027-05-28, May 28, 2027 or 28 May 2027")
TIME_FORMATS = N_("14:30 or 2:30 PM")
_MONTH = r"(?P<month>[a-z]{3,9})\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_WEEKDAY = r"(?:(?P<weekday>[a-z]{3,9})\.?,? )?"
_TIME = (
    r"(?:(?:t|,? (?:at )?)(?P<hour>\d{1,2}):(?P<minutes>\d\d(?::\d\d(?:\.\d{1,6})?)?)"
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
_DATE_DIRECTIVES, _TIME_DIRECTIVES, _ZONE_DIRECTIVES = (
    set("aAbBCdegGhjmuUVwWyYDFx%nt"),
    set("HIklLMpPSRTXrc"),
    set("zZ"),
)
_TAKE_NO_FLAG = set("DFhxRTXrcL")
_BABEL_PATTERNS = {"A": "EEEE", "a": "EEE", "B": "MMMM", "b": "MMM", "h": "MMM", "p": "a", "P": "a"}
"""Of the directives whose result is in a language."""
_OF_SEVERAL = {"c": "%a %b %e %H:%M:%S %Y", "r": "%I:%M:%S %p"}


def format_date(value: Any, format: str | None = None) -> str:
    """Without a format, as the language writes a date in words.

    Raises `FilterError` for an incomplete date, or if the format needs a time or zone that the value lacks.
    """
    letters = set() if format is None else _check_format(str(format))
    if value is None or not str(value).strip():
        return ""
    if isinstance(value, FieldValue) and value.is_sample:
        return value
    at, has_time = parse_date(value)
    if letters & _TIME_DIRECTIVES and not has_time:
        message = N_("%(value)s has no time of day, which the format “%(format)s” needs. Add one, such as %(times)s.")
        raise FilterError(value, message, format=str(format), times=_(TIME_FORMATS))
    if letters & _ZONE_DIRECTIVES and at.tzinfo is None:
        message = N_("%(value)s has no time zone, which the format “%(format)s” needs. Add one, such as -05:00 or UTC.")
        raise FilterError(value, message, format=str(format))
    return _in_format(at, str(format)) if letters else babel.dates.format_date(at, "long", words_language.get())


def _in_format(at: datetime, format: str) -> str:
    return _DIRECTIVE.sub(lambda match: _format_directive(at, *match.groups()), format)


def is_day_format(format: str) -> bool:
    """Whether every date can be printed in it, also one without a time of day."""
    try:
        return not _check_format(format) & (_TIME_DIRECTIVES | _ZONE_DIRECTIVES)
    except FilterError:
        return False


def _check_format(format: str) -> set[str]:
    """The letters of its directives."""
    if not format.strip():
        raise FilterError(format, N_('%(value)s is not a date format. Write one, such as date: "%%B %%-d, %%Y".'))
    directives = _DIRECTIVE.findall(format)
    for flag, letter in directives:
        is_known = letter and letter in _DATE_DIRECTIVES | _TIME_DIRECTIVES | _ZONE_DIRECTIVES
        if not is_known or (flag and letter in _TAKE_NO_FLAG):
            message = N_("%(value)s is not a date format: %(directive)s is not supported.")
            raise FilterError(format, message, directive=f"%{flag}{letter}")
    return {letter for _flag, letter in directives}


def parse_date(value: Any) -> tuple[datetime, bool]:
    """The date, and whether the value gives a time of day. Raises `FilterError`."""
    text = text_input.clean_code(str(value)).casefold()
    match = next((match for pattern in _DATE_PATTERNS if (match := pattern.fullmatch(text))), None)
    if match is None:
        message = N_("%(value)s is not a complete date. Write the day, month and year, such as %(formats)s.")
        raise FilterError(value, message, formats=_(DATE_FORMATS))
    parts = match.groupdict("")
    try:
        at = datetime.fromisoformat(_iso_format(**parts))
    except ValueError as error:
        message = N_("%(value)s is not a valid date. Write it as %(dates)s, and a time as %(times)s.")
        raise FilterError(value, message, dates=_(DATE_FORMATS), times=_(TIME_FORMATS)) from error
    if parts.get("weekday") and not _is_abbreviation(parts["weekday"], f"{at:%A}".casefold()):
        weekday = babel.dates.format_date(at, "EEEE", current_language().code)
        message = N_("%(value)s has the wrong day of the week: that date is a %(weekday)s.")
        raise FilterError(value, message, weekday=weekday)
    return at, bool(parts["hour"])


def _iso_format(
    year: str,
    day: str,
    hour: str,
    minutes: str,
    half: str,
    zone: str,
    number: str = "",
    month: str = "",
    **_unused: str,
) -> str:
    """A one-digit hour is left as it is: without AM or PM it is ambiguous, and invalid in ISO 8601."""
    if not number:
        number = f"{[_is_abbreviation(month, name.casefold()) for name in calendar.month_name].index(True):02}"
    at = f"{year}-{number}-{day:>02}"
    if not hour:
        return at
    if half:
        hour = f"{datetime.strptime(f'{hour} {half[0]}m', '%I %p'):%H}"
    return f"{at}T{hour}:{minutes}{zone if zone[:1] in ('+', '-') else zone and 'Z'}"


def _is_abbreviation(word: str, name: str) -> bool:
    return word in (name, name[:3], name[:4] if name in ("september", "tuesday", "thursday") else name)


def _format_directive(at: datetime, flag: str, letter: str) -> str:
    """Capitals, small letters and milliseconds are made here, because not every system's `strftime` makes them."""
    if letter == "L":
        return f"{at.microsecond // 1000:03}"
    language = words_language.get()
    if language != ENGLISH.code and letter in _OF_SEVERAL:
        return _in_format(at, _OF_SEVERAL[letter])
    if language != ENGLISH.code and letter in _BABEL_PATTERNS:
        text = babel.dates.format_datetime(at, _BABEL_PATTERNS[letter], locale=language).replace("\u202f", " ")
    else:
        text = at.strftime(f"%{'' if flag == '^' or letter in 'zZ' else flag}{'p' if letter == 'P' else letter}")
    return text.upper() if flag == "^" else text.lower() if letter == "P" else text

"""Read the timing of a schedule as it was entered. What was entered is stored, so that the form shows it again."""

import re
from collections.abc import Callable, Mapping
from datetime import date, time
from typing import Any, TypeVar

from portal.core.rules.time_zones import timezone_problem
from portal.core.translation import gettext as _
from portal.schedules.rules import recurrence
from portal.schedules.rules.timing import FixedTiming, RelativeTiming, ScheduleKind

Values = Mapping[str, Any]
Parsed = TypeVar("Parsed")
FIRST_YEAR = 2000
MAX_OFFSETS = 20
MAX_OFFSET_DAYS = 1_000
MAX_COUNT = 10_000
_SEPARATORS = re.compile(r"[\s,;]+")
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,5}")


class TimingError(ValueError):
    """`errors` has a sentence for each invalid field."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__(" ".join(errors.values()))
        self.errors = dict(errors)


def read_timing(kind: str, values: Values) -> FixedTiming | RelativeTiming:
    """Raises `TimingError`."""
    return read_relative(values) if kind == ScheduleKind.RELATIVE else read_fixed(kind, values)


def read_relative(values: Values) -> RelativeTiming:
    errors: dict[str, str] = {}
    offsets = _read(errors, "offsets", lambda: parse_offsets(_text(values, "offsets")))
    at = _read(errors, "time", lambda: parse_time_of_day(_text(values, "time")))
    if not _text(values, "attribute"):
        errors["attribute"] = _("Choose the date that the messages depend on.")
    if errors or offsets is None or at is None:
        raise TimingError(errors)
    return RelativeTiming(_text(values, "attribute"), offsets, at)


def read_fixed(kind: str, values: Values) -> FixedTiming:
    errors: dict[str, str] = {}
    starts_on = _read(errors, "starts_on", lambda: parse_day(_text(values, "starts_on")))
    at = _read(errors, "time", lambda: parse_time_of_day(_text(values, "time")))
    if problem := timezone_problem(_text(values, "zone")):
        errors["zone"] = problem
    rule = _read_rule(errors, values, starts_on) if kind == ScheduleKind.RECURRING and starts_on else ""
    if errors or starts_on is None or at is None:
        raise TimingError(errors)
    return FixedTiming(starts_on, at, _text(values, "zone"), rule)


def _read_rule(errors: dict[str, str], values: Values, starts_on: date) -> str:
    repeat = _text(values, "repeat")
    if repeat == "custom":
        return _read(errors, "rrule", lambda: recurrence.check_rule(_text(values, "rrule"))) or ""
    if repeat not in recurrence.CHOICES:
        errors["repeat"] = _("Choose how often it repeats.")
        return ""
    rule = recurrence.rule_of_choice(repeat, starts_on, values.get("weekdays") or ())
    return f"{rule}{_read_end(errors, values, starts_on)}"


def _read_end(errors: dict[str, str], values: Values, starts_on: date) -> str:
    ends = _text(values, "ends")
    if ends == "on":
        last = _read(errors, "ends_on", lambda: _parse_last_day(_text(values, "ends_on"), starts_on))
        return f";UNTIL={last:%Y%m%d}" if last else ""
    if ends == "after":
        count = _read(errors, "ends_after", lambda: _parse_count(_text(values, "ends_after")))
        return f";COUNT={count}"
    return ""


def parse_day(text: str) -> date:
    """Such as 2027-01-31. Raises `ValueError`."""
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(_("Enter a date that exists, such as 2027-01-31.")) from error
    if not FIRST_YEAR <= day.year <= recurrence.LAST_YEAR:
        raise ValueError(_("Check the year."))
    return day


def parse_time_of_day(text: str) -> time:
    """Such as 09:00. Raises `ValueError`."""
    try:
        at = time.fromisoformat(text)
    except ValueError as error:
        raise ValueError(_("Enter a time of day from 00:00 to 23:59, such as 09:00.")) from error
    return at.replace(second=0, microsecond=0, tzinfo=None)


def parse_offsets(text: str) -> tuple[int, ...]:
    """Such as “60, 30, 7”, the earliest first. Raises `ValueError`."""
    parts = [part for part in _SEPARATORS.split(text.replace("−", "-").strip()) if part]
    if not parts or not all(_WHOLE_NUMBER.fullmatch(part) for part in parts):
        raise ValueError(_("Enter whole numbers of days, such as 60, 30, 7."))
    offsets = sorted({int(part) for part in parts}, reverse=True)
    if len(offsets) > MAX_OFFSETS:
        raise ValueError(_("Enter at most %(limit)s numbers of days.", limit=MAX_OFFSETS))
    if any(abs(offset) > MAX_OFFSET_DAYS for offset in offsets):
        raise ValueError(_("Use at most %(limit)s days.", limit=MAX_OFFSET_DAYS))
    return tuple(offsets)


def _parse_last_day(text: str, starts_on: date) -> date:
    last = parse_day(text)
    if last < starts_on:
        raise ValueError(_("The last day is before the first, so it would never run. Choose a later day."))
    return last


def _parse_count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= MAX_COUNT:
        raise ValueError(_("Enter a whole number from 1 to %(limit)s.", limit=MAX_COUNT))
    return int(text)


def _text(values: Values, name: str) -> str:
    return str(values.get(name) or "").strip()


def _read(errors: dict[str, str], name: str, parse: Callable[[], Parsed]) -> Parsed | None:
    try:
        return parse()
    except ValueError as error:
        errors[name] = str(error)
        return None

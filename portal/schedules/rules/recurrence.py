"""Recurrence rules (RFC 5545): simple choices as a rule, and the days of a rule.

A rule is about days. Its time of day and its time zone are kept beside it, so that it follows the local clock.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time
from functools import lru_cache
from itertools import takewhile

from dateutil.rrule import rrulestr

from portal.core.translation import gettext as _

CHOICES = ("daily", "weekly", "monthly_day", "monthly_weekday", "monthly_last", "yearly")
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
LAST_YEAR = 2199
_SHIFT_YEARS = 7_600
"""A multiple of 400, after which the calendar repeats. Rules are searched that much later: dateutil looks for the next
day until the year 9999, and a rule without any would keep it searching."""
_TRIAL_START, _TRIAL_END = date(2027, 1, 1), date(2028, 3, 1)
_FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_LIMITS = {"BYMONTHDAY": 31, "BYMONTH": 12, "BYYEARDAY": 366, "BYWEEKNO": 53, "BYSETPOS": 366}
_COUNTS = {"INTERVAL": 1_000, "COUNT": 10_000}
_NUMBERS = re.compile(r"[+-]?[0-9]{1,3}(,[+-]?[0-9]{1,3})*")
_COUNT = re.compile(r"[0-9]{1,5}")
_DAYS = re.compile(r"([+-]?[0-9]{1,2})?(MO|TU|WE|TH|FR|SA|SU)(,([+-]?[0-9]{1,2})?(MO|TU|WE|TH|FR|SA|SU))*")
_UNTIL_YEAR = re.compile(r"UNTIL=([0-9]{4})")
_POSITION = re.compile(r"[0-9]+")
_UNTIL = re.compile(r"([0-9]{8})(T[0-9]{6}Z?)?")


class RecurrenceError(ValueError):
    """The rule cannot be used; the message tells the person who wrote it why."""


def rule_of_choice(repeat: str, starts_on: date, weekdays: Sequence[str]) -> str:
    """The rule of a simple choice. Without `weekdays`, a weekly rule takes the weekday on which it starts."""
    if repeat == "daily":
        return "FREQ=DAILY"
    if repeat == "weekly":
        chosen = [day for day in WEEKDAYS if day in weekdays] or [WEEKDAYS[starts_on.weekday()]]
        return f"FREQ=WEEKLY;BYDAY={','.join(chosen)}"
    if repeat == "yearly":
        return f"FREQ=YEARLY;BYMONTH={starts_on.month};BYMONTHDAY={starts_on.day}"
    return f"FREQ=MONTHLY;{_monthly_part(repeat, starts_on)}"


def _monthly_part(repeat: str, starts_on: date) -> str:
    if repeat == "monthly_weekday":
        return f"BYDAY={weekday_position(starts_on)}{WEEKDAYS[starts_on.weekday()]}"
    return "BYMONTHDAY=-1" if repeat == "monthly_last" else f"BYMONTHDAY={starts_on.day}"


def weekday_position(day: date) -> int:
    """Which of its weekdays in its month the day is: 1 to 4, or -1 for a fifth, which is always the last."""
    position = (day.day + 6) // 7
    return -1 if position == 5 else position


def check_rule(text: str) -> str:
    """The rule as it is stored. Raises `RecurrenceError`."""
    normalized = text.upper().replace(" ", "").removeprefix("RRULE:").strip(";")
    parts = [part.partition("=") for part in normalized.split(";")]
    values = {name: value for name, _equals, value in parts}
    if len(values) < len(parts):
        raise RecurrenceError(_("Each part of the rule can be given only once."))
    if values.get("FREQ") not in _FREQUENCIES:
        raise RecurrenceError(
            _(
                "Begin with FREQ=DAILY, WEEKLY, MONTHLY or YEARLY, such as FREQ=MONTHLY;BYDAY=2TU. "
                "The time of day has a field of its own."
            )
        )
    for name, value in values.items():
        if name != "FREQ" and not _is_valid_part(name, value):
            raise RecurrenceError(_("The rule cannot use “%(part)s”.", part=f"{name}={value}" if value else name))
    _check_combination(values)
    if "UNTIL" in values:
        values["UNTIL"] = values["UNTIL"][:8]
    rule = ";".join(f"{name}={value}" for name, value in values.items())
    if not _can_be_expanded(rule):
        raise RecurrenceError(_("The rule cannot use “%(part)s”.", part=rule))
    return rule


@lru_cache(maxsize=1_000)
def _can_be_expanded(rule: str) -> bool:
    """Whether dateutil finds the days of more than a year. What it cannot handle raises whatever comes first."""
    try:
        for _day in takewhile(lambda day: day < _TRIAL_END, rule_days(rule, _TRIAL_START, _TRIAL_START)):
            pass
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return False
    return True


def _is_valid_part(name: str, value: str) -> bool:
    if name in _COUNTS:
        return bool(_COUNT.fullmatch(value)) and 1 <= int(value) <= _COUNTS[name]
    if name in _LIMITS:
        return bool(_NUMBERS.fullmatch(value)) and all(1 <= abs(int(n)) <= _LIMITS[name] for n in value.split(","))
    if name == "UNTIL":
        return bool(_UNTIL.fullmatch(value)) and _is_date(value[:8])
    return value in WEEKDAYS if name == "WKST" else name == "BYDAY" and bool(_DAYS.fullmatch(value))


def _is_date(digits: str) -> bool:
    try:
        datetime.strptime(digits, "%Y%m%d")
    except ValueError:
        return False
    return True


def _check_combination(values: Mapping[str, str]) -> None:
    """Refuse what RFC 5545 forbids, and daily rules with conditions, which take long to find that no day fits."""
    if "COUNT" in values and "UNTIL" in values:
        raise RecurrenceError(_("Use COUNT or UNTIL, not both."))
    conditions = [name for name in values if name.startswith("BY")]
    if values["FREQ"] == "DAILY" and conditions:
        raise RecurrenceError(
            _("FREQ=DAILY has no conditions. Use FREQ=WEEKLY, MONTHLY or YEARLY with “%(part)s”.", part=conditions[0])
        )
    positions = [int(number) for number in _POSITION.findall(values.get("BYDAY", ""))]
    if values["FREQ"] == "WEEKLY" and (positions or set(conditions) - {"BYDAY", "BYMONTH"}):
        raise RecurrenceError(_("FREQ=WEEKLY takes weekdays without a number, such as BYDAY=MO,TH."))
    last = 53 if values["FREQ"] == "YEARLY" and "BYMONTH" not in values else 5
    if not all(1 <= position <= last for position in positions):
        raise RecurrenceError(_("The numbers before weekdays can be from 1 to %(last)s, or from -1 down.", last=last))


def rule_days(rule: str, starts_on: date, not_before: date) -> Iterator[date]:
    """The days of a checked rule from `not_before` on, in order."""
    if max(starts_on, not_before).year > LAST_YEAR:
        return iter(())
    parsed = rrulestr(_shifted(rule), dtstart=_shifted_moment(starts_on))
    moments = parsed.xafter(_shifted_moment(max(starts_on, not_before)), inc=True)
    days = (moment.date().replace(year=moment.year - _SHIFT_YEARS) for moment in moments)
    return takewhile(lambda day: day.year <= LAST_YEAR, days)


def _shifted_moment(day: date) -> datetime:
    return datetime.combine(day.replace(year=day.year + _SHIFT_YEARS), time())


def _shifted(rule: str) -> str:
    return _UNTIL_YEAR.sub(lambda year: f"UNTIL={min(int(year[1]) + _SHIFT_YEARS, 9999)}", rule)

"""Dates as spreadsheets write them. A date that could be read in two ways is read as the region writes dates."""

import re
from datetime import date

_MIDNIGHT = r"(?:[T ]0?0:00(?::00(?:\.0+)?)?Z?)?"
"""Spreadsheets add it to dates."""
_YEAR_FIRST = re.compile(rf"(?P<year>\d{{4}})([-/.])(?P<month>\d\d?)\2(?P<day>\d\d?){_MIDNIGHT}", re.ASCII)
_MONTH_FIRST = re.compile(rf"(?P<month>\d\d?)([-/])(?P<day>\d\d?)\2(?P<year>\d{{4}}){_MIDNIGHT}", re.ASCII)
_DAY_FIRST = re.compile(rf"(?P<day>\d\d?)([-/.])(?P<month>\d\d?)\2(?P<year>\d{{4}}){_MIDNIGHT}", re.ASCII)
_MONTH_FIRST_REGIONS = ("US", "AS", "GU", "MP", "PH", "PR", "VI")
_MIXED_REGIONS = ("CA",)
_EARLIEST_YEAR = 1900


def parse_day(text: str, region: str) -> date | None:
    """None if it is not a date, or may be two dates. `region` is a country code such as US."""
    for pattern in (_YEAR_FIRST, *_patterns(text, region)):
        if match := pattern.fullmatch(text):
            return _to_date(int(match["year"]), int(match["month"]), int(match["day"]))
    return None


def _patterns(text: str, region: str) -> tuple[re.Pattern[str], ...]:
    """Points are written between numbers only where the day comes first."""
    if "." in text.partition(":")[0]:
        return (_DAY_FIRST,)
    if region in _MIXED_REGIONS:
        return ()
    return (_MONTH_FIRST,) if region in _MONTH_FIRST_REGIONS else (_DAY_FIRST,)


def _to_date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day) if year >= _EARLIEST_YEAR else None
    except ValueError:
        return None

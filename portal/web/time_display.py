"""Times on pages: in the viewer's time zone and language, and in the date format of the region (PORTAL_REGION)."""

from datetime import UTC, date, datetime, time
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_skeleton, format_time, format_timedelta
from flask_security import current_user
from markupsafe import Markup

from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.rules.time_zones import timezone_or_utc
from portal.core.translation import N_, current_language, with_separators
from portal.core.translation import gettext as _

_MINUTE_MS, _HOUR_MS = 60_000, 3_600_000
_NEAR_DAYS = {-1: N_("yesterday at %(time)s"), 0: N_("today at %(time)s"), 1: N_("tomorrow at %(time)s")}


class DatedText(str):
    """A day that reads differently within a sentence: “3 mar” alone, and “el 3 mar” in a Spanish sentence."""

    __slots__ = ("in_sentence",)
    in_sentence: str


class DatedElement(Markup):
    """The same as a `<time>` element."""

    in_sentence: Markup


@lru_cache
def locale_of(language: str, region: str) -> Locale:
    """The language as it is written in the region (ISO 3166), or without a region if it is not written there."""
    try:
        return Locale(language, region)
    except UnknownLocaleError:
        return Locale(language)


def current_time_zone() -> ZoneInfo:
    """The viewer's time zone; UTC for anonymous visitors."""
    return timezone_or_utc(current_user.timezone if current_user and current_user.is_authenticated else "UTC")


def describe_time(at_ms: int, now: int | None = None) -> str:
    """`format_relative_time` for the viewer."""
    return format_relative_time(at_ms, now or now_ms(), current_time_zone(), current_locale())


def format_relative_time(at_ms: int, now: int, zone: ZoneInfo, locale: Locale) -> str:
    """“3 minutes ago”, “yesterday at 2:32 PM”, “in 2 minutes”, “Mar 3, 9:00 AM”, “Dec 9, 2025”."""
    distance_ms = abs(now - at_ms)
    if distance_ms < _MINUTE_MS:
        return _("in less than a minute") if at_ms > now else _("just now")
    if distance_ms < _HOUR_MS:
        minutes = distance_ms // _MINUTE_MS * 60
        return format_timedelta(minutes if at_ms > now else -minutes, add_direction=True, threshold=1, locale=locale)
    moment, today = datetime.fromtimestamp(at_ms / 1000, zone), datetime.fromtimestamp(now / 1000, zone).date()
    days_ahead = (moment.date() - today).days
    if days_ahead in _NEAR_DAYS:
        return _(_NEAR_DAYS[days_ahead], time=_clock(moment, locale))
    if moment.year != today.year:
        return _dated(format_date(moment, "medium", locale))
    return _dated(_join(format_skeleton("MMMd", moment, locale=locale), _clock(moment, locale)))


def _dated(day: str) -> DatedText:
    text = DatedText(day)
    text.in_sentence = _("%(day)s", day=day)
    return text


def relative_time(at_ms: int, day: str = "") -> Markup:
    """A `<time>` element with the relative time, and the absolute time on hover.

    If only the `day` (2026-03-01) is known, show that day in every time zone.
    """
    if day:
        element, text = Markup('<time datetime="{}">{{}}</time>').format(day), day_name(date.fromisoformat(day))
        return _dated_element(element, _dated(text))
    element, text = _time_element(at_ms, "{}"), describe_time(at_ms)
    return _dated_element(element, text) if isinstance(text, DatedText) else element.format(text)


def _dated_element(element: Markup, text: DatedText) -> DatedElement:
    """`element` has a “{}” for the text."""
    dated = DatedElement(element.format(text))
    dated.in_sentence = element.format(text.in_sentence)
    return dated


def since_time(at_ms: int, day: str = "") -> Markup:
    """“since Mar 3, 9:00 AM”, but “3 minutes ago” within an hour."""
    when = relative_time(at_ms, day)
    if not day and abs(now_ms() - at_ms) < _HOUR_MS:
        return when
    return Markup(_("since %(when)s")) % with_separators({"when": when})  # noqa: S704  our own words


def precise_time(at_ms: int) -> Markup:
    """The absolute time with seconds, and the relative time beside it within an hour: for events close together."""
    moment = datetime.fromtimestamp(at_ms / 1000, current_time_zone())
    clock = _clock(moment, current_locale(), "medium")
    if abs(now_ms() - at_ms) < _HOUR_MS:
        return _time_element(at_ms, _join(clock, describe_time(at_ms)))
    return _time_element(at_ms, _join(format_date(moment, "medium", current_locale()), clock))


def clock_time(at_ms: int) -> Markup:
    """A `<time>` element for the future: “2:32 PM”, or “tomorrow at 9:10 AM” if it is 12 hours away or more."""
    if abs(at_ms - now_ms()) >= 12 * _HOUR_MS:
        return relative_time(at_ms)
    return _time_element(at_ms, _clock(datetime.fromtimestamp(at_ms / 1000, current_time_zone()), current_locale()))


def format_duration(milliseconds: float) -> str:
    """“40 seconds”, “5 minutes”, “3 hours”: rounded, in one unit."""
    return format_timedelta(max(1, round(milliseconds / 1000)), threshold=1.5, locale=current_locale())


def day_name(day: date) -> str:
    """“Jan 5, 2027”."""
    return format_date(day, "medium", current_locale())


def short_day_name(day: date) -> str:
    """“Jan 5”."""
    return format_skeleton("MMMd", day, locale=current_locale())


def month_name(day: date) -> str:
    """“January 2027”."""
    return format_skeleton("yMMMM", day, locale=current_locale())


def weekday_name(index: int) -> str:
    """“Monday” for 0."""
    return format_date(date(2024, 1, 1 + index), "EEEE", current_locale())


def first_weekday() -> int:
    """With which day weeks begin where the viewer's dates are written: 0 for Monday."""
    return current_locale().first_week_day


def time_of_day(at: time) -> str:
    """“9:00 AM”."""
    return format_time(at, "short", locale=current_locale()).replace("\u202f", " ")


def local_clock_time(at_ms: int) -> str:
    """“2:32 PM”, without the day."""
    return _clock(datetime.fromtimestamp(at_ms / 1000, current_time_zone()), current_locale())


def local_time(at_ms: int, zone: ZoneInfo) -> str:
    """“Saturday, 14:32”."""
    moment = datetime.fromtimestamp(at_ms / 1000, zone)
    return _join(format_date(moment, "EEEE", current_locale()), f"{moment:%H:%M}")


def dated_time(at_ms: int, zone: ZoneInfo) -> str:
    """“March 3, 2026, 2:32 PM EST”, for an email."""
    moment = datetime.fromtimestamp(at_ms / 1000, zone)
    return _join(format_date(moment, "long", current_locale()), f"{_clock(moment, current_locale())} {moment:%Z}")


def _clock(moment: datetime, locale: Locale, length: str = "short") -> str:
    """With an ordinary space before AM and PM; `<time>` elements do not break."""
    return format_time(moment, length, locale=locale).replace("\u202f", " ")


def _time_element(at_ms: int, text: str) -> Markup:
    moment = datetime.fromtimestamp(at_ms / 1000, current_time_zone())
    absolute = _join(
        format_date(moment, "full", current_locale()), f"{_clock(moment, current_locale(), 'medium')} {moment:%Z}"
    )
    iso = datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(iso, absolute, text)


def _join(first: str, second: str) -> str:
    return _("%(first)s, %(second)s", first=first, second=second)


def current_locale() -> Locale:
    """The viewer’s language, as it is written in the region."""
    return locale_of(current_language().code, settings().region)

"""Template filters: times in the reader's time zone, numbers, phone numbers, Markdown."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask
from flask_security import current_user
from markupsafe import Markup

from portal.content.rules import markdown, merge_fields
from portal.content.rules.merge_fields import ACCOUNT_FIELDS
from portal.content.tables.templates import TemplateVersion
from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.rules import phone
from portal.core.rules.routing import Reason
from portal.core.rules.time_zones import timezone_or_utc

_MINUTE_MS, _HOUR_MS = 60_000, 3_600_000
_NEAR_DAYS = {-1: "yesterday", 0: "today", 1: "tomorrow"}


def init_app(app: Flask) -> None:
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters |= {
        "relative_time": relative_time,
        "clock_time": clock_time,
        "intcomma": intcomma,
        "display_phone": display_phone,
        "international_phone": international_phone,
        "masked_phone": phone.mask_phone,
        "body_html": body_html,
        "reason_label": reason_label,
        "count_noun": count_noun,
        "html_attributes": html_attributes,
        "initials": initials,
        "send_subject": send_subject,
    }
    app.jinja_env.tests["plural"] = lambda count: count != 1


def relative_time(at_ms: int, day: str = "") -> Markup:
    """A `<time>` element with the relative time, and the absolute time on hover.

    If only the `day` (2026-03-01) is known, show that day in every time zone.
    """
    if day:
        parsed = date.fromisoformat(day)
        return Markup('<time datetime="{}">{} {:%B %Y}</time>').format(day, parsed.day, parsed)
    return _time_element(at_ms, format_relative_time(at_ms, now_ms(), current_time_zone()))


def clock_time(at_ms: int) -> Markup:
    """A `<time>` element for the future: “14:32”, or “tomorrow at 09:10” if it is 12 hours away or more."""
    if abs(at_ms - now_ms()) >= 12 * _HOUR_MS:
        return relative_time(at_ms)
    return _time_element(at_ms, f"{datetime.fromtimestamp(at_ms / 1000, current_time_zone()):%H:%M}")


def format_relative_time(at_ms: int, now: int, zone: ZoneInfo) -> str:
    """“3 minutes ago”, “yesterday at 14:32”, “in 2 minutes”, “3 March at 09:00”."""
    distance_ms = abs(now - at_ms)
    if distance_ms < _HOUR_MS:
        return _format_minutes(distance_ms, at_ms > now)
    moment, today = datetime.fromtimestamp(at_ms / 1000, zone), datetime.fromtimestamp(now / 1000, zone).date()
    days_ahead = (moment.date() - today).days
    if days_ahead in _NEAR_DAYS:
        return f"{_NEAR_DAYS[days_ahead]} at {moment:%H:%M}"
    day = f"{moment.day} {moment:%B}"
    return f"{day} at {moment:%H:%M}" if moment.year == today.year else f"{day} {moment.year}"


def intcomma(value: int) -> str:
    return f"{value:,}"


def initials(name: str) -> str:
    """“RE” for Robin Ellery."""
    words = name.split()
    return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper()


def count_noun(count: int, one: str, many: str = "") -> str:
    """“1 text”, “25 texts”, “1,204 people”."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def international_phone(value: str) -> str:
    """Format a number with its country code in every region, for people who check every digit."""
    return phone.format_phone(value, "")


def html_attributes(attributes: Mapping[str, Any]) -> Markup:
    """Render True as a bare name; leave out False and None, because `required="False"` would mean required."""
    return Markup(" ").join(
        Markup("{}").format(name) if value is True else Markup('{}="{}"').format(name, value)
        for name, value in attributes.items()
        if value is not False and value is not None
    )


def display_phone(value: str) -> str:
    return phone.format_phone(value, settings().region)


def body_html(source: str) -> Markup:
    """Markdown as HTML."""
    return Markup(markdown.to_html(source))  # noqa: S704  sanitised by to_html


def reason_label(reason: str) -> str:
    return Reason(reason).label if reason in list(Reason) else reason


def send_subject(version: TemplateVersion, data: Mapping[str, str]) -> str:
    """Return the subject with the send's data, and placeholders such as [full name] for what differs by recipient.

    If it cannot be rendered, return it as written in the template.
    """
    values = merge_fields.as_samples({name: f"[{label.lower()}]" for name, label in ACCOUNT_FIELDS.items()})
    try:
        return merge_fields.render_subject(version.subject, {**values, "data": dict(data)})
    except merge_fields.MergeError:
        return version.subject


def _time_element(at_ms: int, text: str) -> Markup:
    moment = datetime.fromtimestamp(at_ms / 1000, current_time_zone())
    absolute = f"{moment:%A} {moment.day} {moment:%B %Y, %H:%M:%S %Z}"
    iso = datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(iso, absolute, text)


def _format_minutes(distance_ms: int, is_future: bool) -> str:
    if distance_ms < _MINUTE_MS:
        return "in less than a minute" if is_future else "just now"
    minutes = count_noun(distance_ms // _MINUTE_MS, "minute")
    return f"in {minutes}" if is_future else f"{minutes} ago"


def current_time_zone() -> ZoneInfo:
    return timezone_or_utc(current_user.timezone if current_user and current_user.is_authenticated else "UTC")

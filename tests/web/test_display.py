from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from jinja2 import UndefinedError

from portal.accounts.tables.accounts import Account
from portal.core.translation import language_named, use_language
from portal.web.time_display import format_relative_time, locale_of, relative_time, since_time

NEW_YORK, US = ZoneInfo("America/New_York"), locale_of("en", "US")
NOW = 1_773_945_000_000  # Thursday 19 March 2026, 14:30 in New York
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


@pytest.mark.parametrize(
    ("away_ms", "label"),
    [
        (-5_000, "just now"),
        (-61_000, "1 minute ago"),
        (-59 * MINUTE, "59 minutes ago"),
        (-2 * HOUR, "today at 12:30 PM"),
        (-DAY, "yesterday at 2:30 PM"),
        (-3 * DAY, "Mar 16, 2:30 PM"),
        (-20 * DAY, "Feb 27, 1:30 PM"),
        (-100 * DAY, "Dec 9, 2025"),
        (30_000, "in less than a minute"),
        (10 * MINUTE, "in 10 minutes"),
        (5 * HOUR, "today at 7:30 PM"),
        (DAY, "tomorrow at 2:30 PM"),
    ],
)
def test_times_are_relative_and_readable(away_ms: int, label: str) -> None:
    assert format_relative_time(NOW + away_ms, NOW, NEW_YORK, US) == label


def test_today_follows_the_readers_time_zone() -> None:
    assert format_relative_time(NOW - 15 * HOUR, NOW, NEW_YORK, US) == "yesterday at 11:30 PM"
    assert format_relative_time(NOW - 15 * HOUR, NOW, ZoneInfo("UTC"), US) == "today at 3:30 AM"


@pytest.mark.parametrize(
    ("region", "label"),
    [("GB", "16 Mar, 14:30"), ("AU", "16 Mar, 2:30 pm"), ("DE", "16 Mar, 14:30"), ("XQ", "Mar 16, 2:30 PM")],
)
def test_dates_follow_the_locale_of_the_region(region: str, label: str) -> None:
    assert format_relative_time(NOW - 3 * DAY, NOW, NEW_YORK, locale_of("en", region)) == label


def test_day_in_a_spanish_sentence_has_its_article(web_app: Flask) -> None:
    with web_app.test_request_context(), use_language(language_named("es")):
        assert since_time(NOW, "2025-12-09").striptags() == "desde el 9 dic 2025"
        assert since_time(NOW - 100 * DAY).striptags().startswith("desde el 9 dic")
        assert relative_time(NOW, "2025-12-09").striptags() == "9 dic 2025"


def test_template_that_names_a_missing_attribute_fails(web_app: Flask) -> None:
    template = web_app.jinja_env.from_string("{{ account.nmae }}")
    with pytest.raises(UndefinedError, match="nmae"):
        template.render(account=Account())
    assert template.render(account={}) == "", "a missing key of a mapping is optional"

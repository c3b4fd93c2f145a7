from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from jinja2 import UndefinedError

from portal.accounts.tables.accounts import Account
from portal.web.template_filters import count_noun, format_relative_time

NEW_YORK = ZoneInfo("America/New_York")
NOW = 1_773_945_000_000  # Thursday 19 March 2026, 14:30 in New York
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


@pytest.mark.parametrize(
    ("away_ms", "label"),
    [
        (-5_000, "just now"),
        (-61_000, "1 minute ago"),
        (-59 * MINUTE, "59 minutes ago"),
        (-2 * HOUR, "today at 12:30"),
        (-DAY, "yesterday at 14:30"),
        (-3 * DAY, "16 March at 14:30"),
        (-20 * DAY, "27 February at 13:30"),
        (-100 * DAY, "9 December 2025"),
        (30_000, "in less than a minute"),
        (10 * MINUTE, "in 10 minutes"),
        (5 * HOUR, "today at 19:30"),
        (DAY, "tomorrow at 14:30"),
    ],
)
def test_times_are_relative_and_readable(away_ms: int, label: str) -> None:
    assert format_relative_time(NOW + away_ms, NOW, NEW_YORK) == label


def test_today_follows_the_readers_time_zone() -> None:
    assert format_relative_time(NOW - 15 * HOUR, NOW, NEW_YORK) == "yesterday at 23:30"
    assert format_relative_time(NOW - 15 * HOUR, NOW, ZoneInfo("UTC")) == "today at 03:30"


def test_counts_have_separators_and_nouns() -> None:
    assert count_noun(1, "text") == "1 text"
    assert count_noun(1_204, "person gets", "people get") == "1,204 people get"


def test_template_that_names_a_missing_attribute_fails(web_app: Flask) -> None:
    template = web_app.jinja_env.from_string("{{ account.nmae }}")
    with pytest.raises(UndefinedError, match="nmae"):
        template.render(account=Account())
    assert template.render(account={}) == "", "a missing key of a mapping is optional"

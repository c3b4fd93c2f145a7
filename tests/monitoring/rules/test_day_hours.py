"""Days and months of time zones as hours, on days with changing clocks too."""

from datetime import date, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from portal.monitoring.rules.day_hours import HourSpan, hour_spans, last_days, last_months

HOUR_MS = 3_600_000
NEW_YORK = ZoneInfo("America/New_York")


def at(text: str, zone: ZoneInfo = NEW_YORK) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)


def day_of(hour: int, spans: list[HourSpan]) -> int:
    span = max((span for span in spans if span.first_hour <= hour), key=lambda span: span.first_hour)
    return span.index + (hour - span.first_hour) // span.hours


def test_today_is_the_last_of_the_days() -> None:
    days = last_days(at("2026-11-28T23:59"), NEW_YORK, 3)
    assert days.days == (date(2026, 11, 26), date(2026, 11, 27), date(2026, 11, 28))
    assert days.first_hours[-1] * HOUR_MS == at("2026-11-28T00:00")


@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Athens", "Asia/Kathmandu", "Australia/Lord_Howe", "UTC"])
@pytest.mark.parametrize("now", ["2026-11-20T12:00", "2026-05-01T12:00"])
def test_every_hour_belongs_to_the_day_on_which_it_began(zone: str, now: str) -> None:
    """Around both changes of clocks."""
    days = last_days(at(now, ZoneInfo(zone)), ZoneInfo(zone), 90)
    spans = hour_spans(days.first_hours)
    starts = [*days.first_hours, days.first_hours[-1] + 24]
    for index, (first, following) in enumerate(pairwise(starts)):
        assert {day_of(hour, spans) for hour in range(first, following)} == {index}
    assert len(spans) <= 3


def test_months_begin_with_their_first_day() -> None:
    months = last_months(at("2026-01-31T12:00"), NEW_YORK, 3)
    assert months.days == (date(2025, 11, 1), date(2025, 12, 1), date(2026, 1, 1))
    assert months.since_hour * HOUR_MS == at("2025-11-01T00:00")

"""Times of day in zones whose clocks change."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.schedules.rules.local_times import local_instant_ms

ZONES = (
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Africa/Casablanca",
    "Pacific/Apia",
)
"""With clock changes of an hour and of half an hour, in both hemispheres, at night and around Ramadan."""
_days = st.dates(date(2026, 1, 1), date(2028, 12, 31))
_times = st.builds(time, st.integers(0, 23), st.integers(0, 59))


@pytest.mark.parametrize(
    ("day", "at", "expected"),
    [
        ("2027-03-14", "02:30", "2027-03-14T07:00+00:00"),  # the clock skips from 2:00 to 3:00
        ("2027-03-14", "03:00", "2027-03-14T07:00+00:00"),
        ("2027-11-07", "01:30", "2027-11-07T05:30+00:00"),  # 1:30 comes twice
        ("2027-11-07", "02:00", "2027-11-07T07:00+00:00"),
        ("2027-07-01", "09:00", "2027-07-01T13:00+00:00"),
    ],
)
def test_a_time_of_day_is_right_when_clocks_change(day: str, at: str, expected: str) -> None:
    instant_ms = local_instant_ms(date.fromisoformat(day), time.fromisoformat(at), "America/New_York")
    assert datetime.fromtimestamp(instant_ms / 1000, UTC) == datetime.fromisoformat(expected)


def test_a_day_that_a_zone_skips_is_its_next_moment() -> None:
    instant_ms = local_instant_ms(date(2011, 12, 30), time(9), "Pacific/Apia")
    assert datetime.fromtimestamp(instant_ms / 1000, ZoneInfo("Pacific/Apia")) == datetime(
        2011, 12, 31, tzinfo=ZoneInfo("Pacific/Apia")
    )


@given(st.sampled_from(ZONES), _days, _times)
def test_a_time_is_the_first_at_which_the_clock_shows_it(zone: str, day: date, at: time) -> None:
    instant_ms = local_instant_ms(day, at, zone)
    shown = [_shown(instant_ms + shift * 60_000, zone) for shift in (-1, 0)]
    wanted = datetime.combine(day, at)
    assert shown[1] >= wanted
    assert not any(_shown(instant_ms - minutes * 60_000, zone) == wanted for minutes in range(1, 181))
    assert shown[1] == wanted or shown[0] < wanted  # else the clock skipped over it at this very moment


def _shown(at_ms: int, zone: str) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone)).replace(tzinfo=None)

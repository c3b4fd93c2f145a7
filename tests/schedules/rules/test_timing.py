"""What can be entered for the timing of a schedule, and when it then runs."""

from datetime import UTC, date, datetime, time
from itertools import takewhile
from unittest.mock import patch

import pytest
from dateutil.rrule import _iterinfo, rrulestr
from hypothesis import given
from hypothesis import strategies as st

from portal.schedules.rules.recurrence import RecurrenceError, check_rule, rule_days
from portal.schedules.rules.timing import FixedTiming, RelativeTiming, next_occasions
from portal.schedules.rules.timing_input import TimingError, read_timing
from tests.schedules.rules.test_local_times import ZONES

_NEW_YEAR_MS = 1_798_761_600_000
"""2027-01-01, UTC."""
_ENTERED = {"starts_on": "2027-01-05", "time": "09:00", "zone": "America/New_York", "repeat": "weekly"}


@pytest.mark.parametrize(
    ("entered", "days"),
    [
        ({"repeat": "daily"}, ["01-05", "01-06", "01-07"]),
        ({"repeat": "weekly"}, ["01-05", "01-12", "01-19"]),
        ({"repeat": "weekly", "weekdays": ["TH", "MO"]}, ["01-07", "01-11", "01-14"]),
        ({"repeat": "monthly_day", "starts_on": "2027-01-31"}, ["01-31", "03-31", "05-31"]),
        ({"repeat": "monthly_last", "starts_on": "2027-01-31"}, ["01-31", "02-28", "03-31"]),
        ({"repeat": "monthly_weekday"}, ["01-05", "02-02", "03-02"]),
        ({"repeat": "monthly_weekday", "starts_on": "2027-01-29"}, ["01-29", "02-26", "03-26"]),
        ({"repeat": "daily", "ends": "after", "ends_after": "2"}, ["01-05", "01-06"]),
        ({"repeat": "daily", "ends": "on", "ends_on": "2027-01-06"}, ["01-05", "01-06"]),
        ({"repeat": "custom", "rrule": "RRULE:FREQ=MONTHLY;BYDAY=2TU"}, ["01-12", "02-09", "03-09"]),
        ({"repeat": "custom", "rrule": "freq=daily;until=20270106T120000Z"}, ["01-05", "01-06"]),
    ],
)
def test_a_repetition_has_the_expected_days(entered: dict[str, object], days: list[str]) -> None:
    timing = read_timing("recurring", _ENTERED | entered)
    assert isinstance(timing, FixedTiming)
    assert [occasion.key for occasion in next_occasions(timing, _NEW_YEAR_MS, 3)] == [f"2027-{day}" for day in days]


def test_a_yearly_repetition_follows_the_local_clock() -> None:
    timing = read_timing("recurring", _ENTERED | {"repeat": "yearly", "starts_on": "2027-03-14", "time": "02:30"})
    assert isinstance(timing, FixedTiming)
    moments = [datetime.fromtimestamp(run.due_at_ms / 1000, UTC) for run in next_occasions(timing, _NEW_YEAR_MS, 2)]
    assert [moment.isoformat() for moment in moments] == ["2027-03-14T07:00:00+00:00", "2028-03-14T06:30:00+00:00"]


@pytest.mark.parametrize(
    ("kind", "entered", "field", "sentence"),
    [
        ("once", {"starts_on": "2027-02-30"}, "starts_on", "a date that exists"),
        ("once", {"starts_on": "0001-01-01"}, "starts_on", "the year"),
        ("once", {"time": "24:00:01"}, "time", "a time of day"),
        ("once", {"zone": "Mars/Olympus"}, "zone", "no such time zone"),
        ("recurring", {"repeat": "hourly"}, "repeat", "how often"),
        ("recurring", {"ends": "on", "ends_on": "2027-01-04"}, "ends_on", "would never run"),
        ("recurring", {"ends": "after", "ends_after": "0"}, "ends_after", "from 1 to"),
        ("recurring", {"ends": "after", "ends_after": "²"}, "ends_after", "from 1 to"),
        ("relative", {"attribute": "expires_on", "offsets": "60, thirty"}, "offsets", "whole numbers"),
        ("relative", {"attribute": "expires_on", "offsets": "5000"}, "offsets", "at most"),
        ("relative", {"attribute": "", "offsets": "60"}, "attribute", "Choose the date"),
    ],
)
def test_a_timing_that_cannot_be_is_refused_at_its_field(
    kind: str, entered: dict[str, object], field: str, sentence: str
) -> None:
    with pytest.raises(TimingError) as refusal:
        read_timing(kind, _ENTERED | entered)
    assert list(refusal.value.errors) == [field]
    assert sentence in refusal.value.errors[field]


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "FREQ=HOURLY",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=MONTHLY;BYMONTHDAY=32",
        "FREQ=WEEKLY;BYMONTH=13",
        "FREQ=WEEKLY;BYDAY=2MO",
        "FREQ=MONTHLY;BYDAY=0MO",
        "FREQ=MONTHLY;BYDAY=99MO",
        "FREQ=MONTHLY;BYDAY=1MO,10MO",
        "FREQ=MONTHLY;BYDAY=-6MO",
        "FREQ=YEARLY;BYMONTH=3;BYDAY=6MO",
        "FREQ=YEARLY;BYDAY=54MO",
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=DAILY;COUNT=2;UNTIL=20270101",
        "FREQ=DAILY;FREQ=WEEKLY",
        "FREQ=DAILY;BYHOUR=4",
        "FREQ=DAILY;UNTIL=20270230",
        "FREQ=DAILY\nRRULE:FREQ=SECONDLY",
        "FREQ=DAILY;EXDATE",
    ],
)
def test_a_rule_that_cannot_be_used_is_refused(rule: str) -> None:
    with pytest.raises(RecurrenceError):
        check_rule(rule)


def test_a_rule_without_days_ends() -> None:
    rule = check_rule("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30")
    assert list(rule_days(rule, date(2027, 1, 1), date(2027, 1, 1))) == []


@pytest.mark.parametrize("rule", ["FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30", "FREQ=YEARLY;BYWEEKNO=1;BYMONTH=7"])
def test_a_rule_without_days_is_searched_for_few_years(rule: str) -> None:
    with patch.object(_iterinfo, "rebuild", autospec=True, side_effect=_iterinfo.rebuild) as rebuild:
        assert list(rule_days(check_rule(rule), date(2027, 1, 1), date(2027, 1, 1))) == []
    assert rebuild.call_count < 10_000


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29",
        "FREQ=YEARLY;INTERVAL=3;BYDAY=53FR",
        "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU;UNTIL=20400101",
        "FREQ=MONTHLY;BYDAY=5MO;COUNT=9",
        "FREQ=YEARLY;BYWEEKNO=20,-1;BYDAY=TU",
    ],
)
def test_a_rule_has_the_days_of_its_definition(rule: str) -> None:
    start = datetime(2028, 2, 29)
    expected = [moment.date() for moment in takewhile(lambda day: day.year < 2100, rrulestr(rule, dtstart=start))]
    days = rule_days(check_rule(rule), start.date(), start.date())
    assert list(takewhile(lambda day: day.year < 2100, days)) == expected


def test_offsets_are_sorted_without_duplicates() -> None:
    timing = read_timing("relative", {"attribute": "expires_on", "offsets": "7 30;60, 30, −3", "time": "08:15"})
    assert timing == RelativeTiming("expires_on", (60, 30, 7, -3), time(8, 15))


@given(
    st.sampled_from(ZONES),
    st.sampled_from(["FREQ=DAILY", "FREQ=WEEKLY;BYDAY=MO,SU", "FREQ=MONTHLY;BYMONTHDAY=-1", "FREQ=MONTHLY;BYDAY=-1SU"]),
    st.builds(time, st.integers(0, 23), st.integers(0, 59)),
    st.lists(st.integers(1, 40), min_size=1, max_size=12),
)
def test_each_occasion_comes_once_however_time_is_cut(zone: str, rule: str, at: time, gaps: list[int]) -> None:
    timing = FixedTiming(date(2026, 12, 1), at, zone, rule)
    end_ms = _NEW_YEAR_MS + sum(gaps) * 86_400_000
    found, begin_ms = [], _NEW_YEAR_MS
    for gap in gaps:
        until_ms = begin_ms + gap * 86_400_000
        found += [run for run in next_occasions(timing, begin_ms, 60) if run.due_at_ms <= until_ms]
        begin_ms = until_ms
    assert found == [run for run in next_occasions(timing, _NEW_YEAR_MS, 600) if run.due_at_ms <= end_ms]
    assert len({run.key for run in found}) == len(found)

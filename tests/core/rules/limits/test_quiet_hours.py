"""Quiet hours: when they begin and end, and which texts they defer."""

import itertools
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.accounts.rules.area_codes import AREA_CODES_BY_STATE
from portal.accounts.rules.recipient_places import place_of
from portal.core.rules.limits.quiet_hours import Place, QuietHours, is_subject_to_quiet_hours, no_quiet_hours
from portal.core.rules.routing import Mode, TextKind

EVENING_TO_MORNING = QuietHours(time(21), time(8))
ZONES = ["UTC", "America/New_York", "America/Los_Angeles", "Pacific/Honolulu", "Asia/Kolkata", "Pacific/Kiritimati"]
MOMENT = st.integers(1_700_000_000_000, 1_900_000_000_000)
TIMES = st.times().map(lambda moment: moment.replace(second=0, microsecond=0))


def ms(text: str, zone: str = "UTC") -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


@pytest.mark.parametrize(
    ("now", "zone", "ends"),
    [
        ("2026-11-26T20:59:59", "UTC", None),
        ("2026-11-26T21:00:00", "UTC", "2026-11-27T08:00"),
        ("2026-11-26T23:59:00", "UTC", "2026-11-27T08:00"),
        ("2026-11-27T07:59:59", "UTC", "2026-11-27T08:00"),
        ("2026-11-27T08:00:00", "UTC", None),
        ("2026-11-26T21:30:00", "America/New_York", "2026-11-27T08:00"),
        ("2026-11-26T12:00:00", "America/New_York", None),
        ("2026-11-26T03:00:00", "Nowhere/Else", "2026-11-26T08:00"),
    ],
)
def test_quiet_hours_follow_local_time(now: str, zone: str, ends: str | None) -> None:
    valid_zone = "UTC" if zone == "Nowhere/Else" else zone
    assert EVENING_TO_MORNING.ends_ms(ms(now, valid_zone), Place((zone,))) == (ms(ends, valid_zone) if ends else None)


def test_quiet_hours_follow_daylight_saving_time() -> None:
    zone = "America/New_York"
    assert EVENING_TO_MORNING.ends_ms(ms("2026-10-31T22:00", zone), Place((zone,))) == ms("2026-11-01T08:00", zone)
    assert EVENING_TO_MORNING.ends_ms(ms("2027-03-13T22:00", zone), Place((zone,))) == ms("2027-03-14T08:00", zone)
    gap = QuietHours(time(1), time(2, 30))
    ends = gap.ends_ms(ms("2027-03-14T01:30", zone), Place((zone,)))
    assert ends == ms("2027-03-14T03:30", zone), "02:30 does not exist that sunday"
    assert gap.ends_ms(ends, Place((zone,))) is None


def test_quiet_hours_can_be_within_one_day() -> None:
    noon = QuietHours(time(12), time(14))
    assert noon.ends_ms(ms("2026-11-26T13:00"), Place(("UTC",))) == ms("2026-11-26T14:00")
    assert noon.ends_ms(ms("2026-11-26T14:00"), Place(("UTC",))) is None
    assert noon.ends_ms(ms("2026-11-26T02:00"), Place(("UTC",))) is None
    assert noon.begins_ms(ms("2026-11-26T02:00"), Place(("UTC",))) == ms("2026-11-26T12:00")
    assert noon.begins_ms(ms("2026-11-26T15:00"), Place(("UTC",))) == ms("2026-11-27T12:00")


@given(MOMENT, st.sampled_from(ZONES), TIMES, TIMES)
def test_quiet_hours_are_over_when_they_end(now_ms: int, zone: str, begin: time, end: time) -> None:
    if begin == end:
        return
    hours = QuietHours(begin, end)
    ends_ms = hours.ends_ms(now_ms, Place((zone,)))
    if ends_ms is None:
        begins_ms = hours.begins_ms(now_ms, Place((zone,)))
        assert now_ms < begins_ms <= now_ms + 25 * 3_600_000
        return
    assert now_ms < ends_ms <= now_ms + 25 * 3_600_000
    local = datetime.fromtimestamp(ends_ms / 1000, UTC).astimezone(ZoneInfo(zone)).time()
    assert hours.ends_ms(ends_ms, Place((zone,))) is None or local < end, "except in the hour that is repeated"


def test_lookup_answers_for_each_place() -> None:
    ends_ms = EVENING_TO_MORNING.lookup_at(ms("2026-11-26T22:00"))
    assert ends_ms(Place(("UTC",))) == ends_ms(Place(("UTC",))) == ms("2026-11-27T08:00")
    assert ends_ms(Place(("Asia/Tokyo",))) == ms("2026-11-27T08:00", "Asia/Tokyo")
    assert ends_ms(Place(("America/Los_Angeles",))) is None
    assert no_quiet_hours("+12025550142", "UTC") is None


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("kind", list(TextKind))
@pytest.mark.parametrize("urgent", [False, True])
def test_quiet_hours_apply_to_live_texts_that_can_wait(mode: Mode, kind: TextKind, urgent: bool) -> None:
    can_wait = kind is TextKind.ANSWER or (kind is TextKind.NOTIFICATION and not urgent)
    assert is_subject_to_quiet_hours(kind, urgent, mode) is (can_wait and mode is Mode.LIVE)


def test_quiet_hours_are_shown_as_two_times() -> None:
    assert str(EVENING_TO_MORNING) == "21:00 to 08:00"


DEFAULT = QuietHours(time(20), time(8))
CLOCKS_BACK, CLOCKS_FORWARD = date(2026, 11, 1), date(2027, 3, 14)
AREA_CODES = [code for codes in AREA_CODES_BY_STATE.values() for code in codes.split()]


def is_permitted(at_ms: int, zone: str, state: str) -> bool:
    """By the rules in words: from eight to eight, in Texas from noon on Sundays."""
    local = datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone))
    first_hour = 12 if state == "TX" and local.strftime("%A") == "Sunday" else 8
    return first_hour <= local.hour < 20


@given(
    code=st.sampled_from(AREA_CODES),
    account_zone=st.sampled_from(["UTC", "America/New_York", "America/Chicago", "America/Phoenix", "Pacific/Honolulu"]),
    sunday=st.sampled_from([CLOCKS_BACK, CLOCKS_FORWARD]),
    minute=st.integers(-24 * 60, 48 * 60),
)
@settings(max_examples=600)
def test_text_of_every_state_leaves_at_the_first_permitted_minute(
    code: str, account_zone: str, sunday: date, minute: int
) -> None:
    """Around both Sundays on which clocks change; found again minute by minute."""
    place = place_of(f"1{code}", account_zone)
    now_ms = ms(sunday.isoformat()) + minute * 60_000
    leaves_ms = DEFAULT.ends_ms(now_ms, place) or now_ms
    minutes = itertools.count(now_ms, 60_000)
    assert leaves_ms == next(at for at in minutes if all(is_permitted(at, zone, place.state) for zone in place.zones))


@pytest.mark.parametrize("state", AREA_CODES_BY_STATE)
@pytest.mark.parametrize("sunday", [CLOCKS_BACK, CLOCKS_FORWARD])
def test_quiet_hours_end_for_every_state_as_clocks_change(state: str, sunday: date) -> None:
    code = AREA_CODES_BY_STATE[state].split()[0]
    place = place_of(f"1{code}", "UTC")
    first_hour = f"{sunday}T{12 if state == 'TX' else 8:02}:00"
    began_ms = max(ms(f"{sunday}T03:30", zone) for zone in place.zones)
    assert DEFAULT.ends_ms(began_ms, place) == max(ms(first_hour, zone) for zone in place.zones)


def test_sunday_in_texas_is_quiet_from_saturday_evening_until_noon() -> None:
    place, zone = place_of("1214", "America/Chicago"), "America/Chicago"
    noon = ms("2026-11-29T12:00", zone)
    assert DEFAULT.ends_ms(ms("2026-11-28T20:00", zone), place) == noon
    assert DEFAULT.ends_ms(ms("2026-11-29T08:30", zone), place) == noon
    assert DEFAULT.ends_ms(noon, place) is None
    assert DEFAULT.begins_ms(ms("2026-11-28T19:00", zone), place) == ms("2026-11-28T20:00", zone)
    assert DEFAULT.ends_ms(ms("2026-11-29T08:30", zone), place_of("1405", zone)) is None, "Oklahoma"


def test_strictest_zone_of_a_place_counts() -> None:
    place = Place(("America/Los_Angeles", "America/New_York"))
    assert DEFAULT.ends_ms(ms("2026-11-26T09:00", "America/New_York"), place) == ms(
        "2026-11-26T11:00", "America/New_York"
    )
    assert DEFAULT.begins_ms(ms("2026-11-26T12:00", "America/New_York"), place) == ms(
        "2026-11-26T20:00", "America/New_York"
    )


def test_first_zone_counts_where_no_minute_is_permitted_in_all() -> None:
    place = Place(("Asia/Singapore", "America/New_York"))
    assert DEFAULT.ends_ms(ms("2026-07-06T09:00", "Asia/Singapore"), place) is None
    assert DEFAULT.ends_ms(ms("2026-07-06T21:00", "Asia/Singapore"), place) == ms("2026-07-07T08:00", "Asia/Singapore")
    assert DEFAULT.begins_ms(ms("2026-07-06T09:00", "Asia/Singapore"), place) == ms(
        "2026-07-06T20:00", "Asia/Singapore"
    )

"""Quiet hours: when they begin and end, and which texts they defer."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core.rules.quiet_hours import QuietHours, is_subject_to_quiet_hours, no_quiet_hours
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
    assert EVENING_TO_MORNING.ends_ms(ms(now, valid_zone), zone) == (ms(ends, valid_zone) if ends else None)


def test_quiet_hours_follow_daylight_saving_time() -> None:
    zone = "America/New_York"
    assert EVENING_TO_MORNING.ends_ms(ms("2026-10-31T22:00", zone), zone) == ms("2026-11-01T08:00", zone)
    assert EVENING_TO_MORNING.ends_ms(ms("2027-03-13T22:00", zone), zone) == ms("2027-03-14T08:00", zone)
    gap = QuietHours(time(1), time(2, 30))
    ends = gap.ends_ms(ms("2027-03-14T01:30", zone), zone)
    assert ends == ms("2027-03-14T03:30", zone), "02:30 does not exist that night"
    assert gap.ends_ms(ends, zone) is None


def test_quiet_hours_can_be_within_one_day() -> None:
    noon = QuietHours(time(12), time(14))
    assert noon.ends_ms(ms("2026-11-26T13:00"), "UTC") == ms("2026-11-26T14:00")
    assert noon.ends_ms(ms("2026-11-26T14:00"), "UTC") is None
    assert noon.ends_ms(ms("2026-11-26T02:00"), "UTC") is None
    assert noon.begins_ms(ms("2026-11-26T02:00"), "UTC") == ms("2026-11-26T12:00")
    assert noon.begins_ms(ms("2026-11-26T15:00"), "UTC") == ms("2026-11-27T12:00")


@given(MOMENT, st.sampled_from(ZONES), TIMES, TIMES)
def test_quiet_hours_are_over_when_they_end(now_ms: int, zone: str, begin: time, end: time) -> None:
    if begin == end:
        return
    hours = QuietHours(begin, end)
    ends_ms = hours.ends_ms(now_ms, zone)
    if ends_ms is None:
        begins_ms = hours.begins_ms(now_ms, zone)
        assert now_ms < begins_ms <= now_ms + 25 * 3_600_000
        return
    assert now_ms < ends_ms <= now_ms + 25 * 3_600_000
    local = datetime.fromtimestamp(ends_ms / 1000, UTC).astimezone(ZoneInfo(zone)).time()
    assert hours.ends_ms(ends_ms, zone) is None or local < end, "except in the hour that is repeated"


def test_lookup_answers_for_each_zone() -> None:
    ends_ms = EVENING_TO_MORNING.lookup_at(ms("2026-11-26T22:00"))
    assert ends_ms("UTC") == ends_ms("UTC") == ms("2026-11-27T08:00")
    assert ends_ms("Asia/Tokyo") == ms("2026-11-27T08:00", "Asia/Tokyo")
    assert ends_ms("America/Los_Angeles") is None
    assert no_quiet_hours("UTC") is None


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("kind", list(TextKind))
@pytest.mark.parametrize("urgent", [False, True])
def test_quiet_hours_apply_to_live_texts_that_can_wait(mode: Mode, kind: TextKind, urgent: bool) -> None:
    can_wait = kind is TextKind.ANSWER or (kind is TextKind.NOTIFICATION and not urgent)
    assert is_subject_to_quiet_hours(kind, urgent, mode) is (can_wait and mode is Mode.LIVE)


def test_quiet_hours_are_shown_as_two_times() -> None:
    assert str(EVENING_TO_MORNING) == "21:00 to 08:00"

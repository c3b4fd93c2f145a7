"""Forecasts with quiet hours and expiry, compared with sending texts one by one."""

from datetime import UTC, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core.rules.limits.quiet_hours import Place, QuietHours
from portal.sends.rules.completion_forecast import Backlog, estimate_completion

QUIET_HOURS = QuietHours(time(21), time(8))
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
COUNT = st.integers(1, 60)
ZONE = st.sampled_from(["UTC", "America/New_York", "Asia/Tokyo", "Pacific/Honolulu"])
BACKLOG = st.dictionaries(ZONE, COUNT, min_size=1)


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def backlog(texts: dict[str, int], segments_per_text: float = 1.0) -> Backlog:
    count = sum(texts.values())
    return Backlog(count, count * segments_per_text, {Place((zone,)): number for zone, number in texts.items()})


def simulate_one_by_one(backlogs: list[dict[str, int]], begins_ms: int) -> int:
    """When the first backlog ends, if one text leaves a minute, sends take turns and the fullest zone goes first."""
    now_ms, turn = begins_ms, 0
    unsent = [dict(backlog) for backlog in backlogs]
    while sum(unsent[0].values()):
        zones = [
            {zone for zone, count in backlog.items() if count and QUIET_HOURS.ends_ms(now_ms, Place((zone,))) is None}
            for backlog in unsent
        ]
        if any(zones):
            while not zones[turn % len(unsent)]:
                turn += 1
            backlog = unsent[turn % len(unsent)]
            backlog[max(zones[turn % len(unsent)], key=backlog.__getitem__)] -= 1
            turn += 1
        now_ms += MINUTE_MS
    return now_ms


@pytest.mark.parametrize(
    ("texts", "begins", "ends"),
    [
        ({"UTC": 3_600}, "2026-11-26T12:00", "2026-11-26T13:00"),
        ({"UTC": 3_600}, "2026-11-26T20:30", "2026-11-27T08:30"),
        ({"UTC": 3_600}, "2026-11-26T22:00", "2026-11-27T09:00"),
        ({"UTC": 3_600, "America/New_York": 3_600}, "2026-11-26T22:00", "2026-11-27T09:00"),
        ({"UTC": 7_200, "America/New_York": 3_600}, "2026-11-26T20:00", "2026-11-27T09:20"),
        ({"UTC": 1, "Pacific/Honolulu": 1}, "2026-11-26T12:00", "2026-11-26T18:00:01"),
    ],
)
def test_quiet_hours_delay_only_their_time_zone(texts: dict[str, int], begins: str, ends: str) -> None:
    last_text_at_ms, _ = estimate_completion(backlog(texts), [], 1.0, at(begins), QUIET_HOURS)
    assert last_text_at_ms + 1_000 == pytest.approx(at(ends), abs=1_000)


@given(BACKLOG, st.lists(BACKLOG, max_size=2), st.integers(0, 23))
def test_simulation_matches_sending_one_by_one(mine: dict[str, int], others: list[dict[str, int]], hour: int) -> None:
    """Near quiet hours one text can mean the next morning, so compare with a few texts fewer and more."""
    begins_ms = at(f"2026-11-26T{hour:02}:00")
    backlogs = [backlog(texts) for texts in others]
    last_text_at_ms, _ = estimate_completion(backlog(mine), backlogs, 1 / 60, begins_ms, QUIET_HOURS)
    ends_ms = last_text_at_ms + MINUTE_MS
    fewer, more = (
        [{zone: max(0, count + change) for zone, count in backlog.items()} for backlog in (mine, *others)]
        for change in (-3, 3)
    )
    assert simulate_one_by_one(fewer, begins_ms) - 15 * MINUTE_MS <= ends_ms
    assert ends_ms <= simulate_one_by_one(more, begins_ms) + 15 * MINUTE_MS


@given(BACKLOG, st.integers(0, 47), st.integers(0, 23))
def test_texts_remaining_at_the_deadline(mine: dict[str, int], deadline_hours: int, hour: int) -> None:
    begins_ms = at(f"2026-11-26T{hour:02}:00")
    deadline_ms = begins_ms + deadline_hours * HOUR_MS
    last_text_at_ms, remaining = estimate_completion(backlog(mine), [], 1 / 60, begins_ms, QUIET_HOURS, deadline_ms)
    assert (remaining > 1e-3) == (deadline_ms < last_text_at_ms + MINUTE_MS - 100)
    assert remaining <= sum(mine.values()) + 1e-6


def test_deadline_before_the_start_leaves_everything() -> None:
    begins_ms, deadline_ms = at("2026-11-26T12:00"), at("2026-11-26T11:00")
    _, remaining = estimate_completion(backlog({"UTC": 7}), [], 1.0, begins_ms, None, deadline_ms)
    assert remaining == 7


def test_sends_take_turns_without_quiet_hours() -> None:
    mine, other = backlog({"UTC": 100}), backlog({"UTC": 300}, 2.0)
    last_text_at_ms, _ = estimate_completion(mine, [other], 10.0, 0)
    assert last_text_at_ms + 100 == pytest.approx(30_000)

"""How texts drain while night falls and lifts: compared with letting them go one by one."""

from datetime import UTC, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core.rules.quiet_hours import QuietHours
from portal.sends.rules.lane_simulation import SimulatedBacklog, simulate_lane

NIGHT = QuietHours(time(21), time(8))
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
COUNT = st.integers(1, 60)
ZONE = st.sampled_from(["UTC", "America/New_York", "Asia/Tokyo", "Pacific/Honolulu"])
POOL = st.dictionaries(ZONE, COUNT, min_size=1)


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def simulate_one_by_one(pools: list[dict[str, int]], begins_ms: int, per_minute: int) -> int:
    """A text a turn, of people who are awake, those of the zone first that has the most left; when mine are gone."""
    now_ms, step = begins_ms, MINUTE_MS / per_minute
    left, turn = [dict(pool) for pool in pools], 0
    while sum(left[0].values()):
        awake = [{zone for zone in pool if pool[zone] and NIGHT.ends_ms(round(now_ms), zone) is None} for pool in left]
        if not any(awake):
            now_ms += MINUTE_MS
            continue
        while not awake[turn % len(left)]:
            turn += 1
        pool = left[turn % len(left)]
        pool[max(awake[turn % len(left)], key=lambda zone: pool[zone])] -= 1
        turn += 1
        now_ms += step
    return round(now_ms)


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
def test_nobody_is_texted_at_night_and_who_is_awake_does_not_wait(
    texts: dict[str, float], begins: str, ends: str
) -> None:
    found = simulate_lane(SimulatedBacklog(dict(texts), 1.0), [], at(begins), 1.0, NIGHT)
    assert found.ends_ms == pytest.approx(at(ends), abs=1_000)


@given(POOL, st.lists(POOL, max_size=2), st.integers(0, 23))
def test_it_comes_to_what_taking_turns_one_by_one_comes_to_but_for_a_text_or_two(
    mine: dict[str, int], others: list[dict[str, int]], hour: int
) -> None:
    """Near a night a text more may mean the next morning: it lies between what a few less and a few more come to."""
    begins_ms = at(f"2026-11-26T{hour:02}:00")
    pools = [SimulatedBacklog(dict[str, float](pool), 1.0) for pool in (mine, *others)]
    found = simulate_lane(pools[0], pools[1:], begins_ms, 1 / 60, NIGHT)
    fewer, more = ([{zone: max(0, n + by) for zone, n in pool.items()} for pool in (mine, *others)] for by in (-3, 3))
    assert simulate_one_by_one(fewer, begins_ms, 1) - 15 * MINUTE_MS <= found.ends_ms
    assert found.ends_ms <= simulate_one_by_one(more, begins_ms, 1) + 15 * MINUTE_MS


@given(POOL, st.integers(0, 47), st.integers(0, 23))
def test_what_is_left_at_a_moment_is_what_would_come_too_late(mine: dict[str, int], ask: int, hour: int) -> None:
    begins_ms = at(f"2026-11-26T{hour:02}:00")
    asked_ms = begins_ms + ask * HOUR_MS
    found = simulate_lane(SimulatedBacklog(dict[str, float](mine), 1.0), [], begins_ms, 1 / 60, NIGHT, asked_ms)
    assert (found.remaining_at_deadline > 1e-3) == (asked_ms < found.ends_ms - 100)
    assert found.remaining_at_deadline <= sum(mine.values()) + 1e-6


def test_asked_about_before_it_begins_everything_is_late() -> None:
    assert (
        simulate_lane(
            SimulatedBacklog({"UTC": 7.0}, 1.0), [], at("2026-11-26T12:00"), 1.0, None, at("2026-11-26T11:00")
        ).remaining_at_deadline
        == 7
    )


def test_without_quiet_hours_two_sends_share_by_turns_and_heavy_texts_take_longer() -> None:
    mine, other = SimulatedBacklog({"UTC": 100.0}, 1.0), SimulatedBacklog({"": 300.0}, 2.0)
    assert simulate_lane(mine, [other], 0, 10.0).ends_ms == pytest.approx(30_000)

"""Slots keep every sending number within its rate."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from portal.core.rules.pacing import MICROSECONDS_PER_SECOND, RATES, batch_limit, plan_slots
from portal.core.rules.setting_error import SettingError
from portal.gateways.rules.twilio_settings import TWILIO_SCHEMA

NOW_US = 1_790_000_000 * MICROSECONDS_PER_SECOND
RATE = st.sampled_from([0.1, 0.25, 1.0, 3.0, 7.0, 30.0, 100.0, 225.0, 1000.0]) | st.floats(0.05, 1000)
SEGMENTS = st.lists(st.integers(0, 10), max_size=60)
NEXT_FREE = st.integers(-20 * MICROSECONDS_PER_SECOND, 20 * MICROSECONDS_PER_SECOND).map(lambda offset: NOW_US + offset)
HORIZON = st.integers(0, 5 * MICROSECONDS_PER_SECOND)
CLAIMS = st.lists(st.tuples(st.integers(0, 3 * MICROSECONDS_PER_SECOND), SEGMENTS), min_size=1, max_size=8)


def busiest_second(slots: list[tuple[int, int]]) -> float:
    """The most segments that start in any sliding second, without the last text in it."""
    busiest = 0.0
    for first, (window_us, _) in enumerate(slots):
        counts = [max(count, 1) for slot_us, count in slots[first:] if slot_us - window_us < MICROSECONDS_PER_SECOND]
        busiest = max(busiest, sum(counts[:-1]))
    return busiest


def has_required_gaps(slots: list[tuple[int, int]], rate: float) -> bool:
    """Between any two texts is the time that the segments before the later one take, within a microsecond each."""
    for first in range(len(slots)):
        required_us = 0.0
        for index in range(first + 1, len(slots)):
            required_us += max(slots[index - 1][1], 1) * MICROSECONDS_PER_SECOND / rate
            if slots[index][0] - slots[first][0] < required_us - (index - first):
                return False
    return True


@given(RATE, SEGMENTS, NEXT_FREE, HORIZON)
def test_no_second_exceeds_the_rate_by_more_than_one_text(
    rate: float, segments: list[int], next_free_us: int, horizon_us: int
) -> None:
    plan = plan_slots(next_free_us, NOW_US, horizon_us, rate, segments)
    slots = list(zip(plan.slots_us, segments, strict=False))
    assert busiest_second(slots) <= rate + 0.001
    assert has_required_gaps(slots, rate)


@given(RATE, CLAIMS, NEXT_FREE, HORIZON)
def test_consecutive_claims_keep_the_rate(
    rate: float, claims: list[tuple[int, list[int]]], next_free_us: int, horizon_us: int
) -> None:
    now_us, slots = NOW_US, []
    for elapsed_us, segments in claims:
        now_us += elapsed_us
        plan = plan_slots(next_free_us, now_us, horizon_us, rate, segments)
        slots += list(zip(plan.slots_us, segments, strict=False))
        next_free_us = plan.next_free_us
    assert busiest_second(slots) <= rate + 0.001
    assert has_required_gaps(slots, rate)
    assert [slot_us for slot_us, _ in slots] == sorted(slot_us for slot_us, _ in slots)


@given(RATE, SEGMENTS, NEXT_FREE, HORIZON)
def test_slots_are_between_now_and_the_horizon(
    rate: float, segments: list[int], next_free_us: int, horizon_us: int
) -> None:
    plan = plan_slots(next_free_us, NOW_US, horizon_us, rate, segments)
    assert all(NOW_US <= slot <= NOW_US + horizon_us for slot in plan.slots_us)
    assert all(slot >= next_free_us for slot in plan.slots_us)


@given(RATE, SEGMENTS, NEXT_FREE, HORIZON)
def test_plan_without_slots_does_not_move_the_next_free_slot(
    rate: float, segments: list[int], next_free_us: int, horizon_us: int
) -> None:
    plan = plan_slots(next_free_us, NOW_US, horizon_us, rate, segments)
    if not plan.slots_us:
        assert plan.next_free_us == next_free_us
    else:
        assert plan.next_free_us > plan.slots_us[-1]


@given(RATE, SEGMENTS, st.integers(0, 10**15))
def test_idle_sender_earns_no_credit(rate: float, segments: list[int], idle_us: int) -> None:
    assume(segments)
    horizon_us = MICROSECONDS_PER_SECOND
    assert plan_slots(NOW_US - idle_us, NOW_US, horizon_us, rate, segments) == plan_slots(
        NOW_US, NOW_US, horizon_us, rate, segments
    )


def test_text_of_three_segments_takes_three_slots() -> None:
    plan = plan_slots(NOW_US, NOW_US, 10 * MICROSECONDS_PER_SECOND, 1.0, [1, 3, 1])
    assert [slot - NOW_US for slot in plan.slots_us] == [0, 1_000_000, 4_000_000]
    assert plan.next_free_us - NOW_US == 5_000_000


def test_text_is_planned_only_if_its_slot_is_within_the_horizon() -> None:
    assert len(plan_slots(NOW_US, NOW_US, 999_999, 1.0, [1] * 5).slots_us) == 1
    assert len(plan_slots(NOW_US, NOW_US, 1_000_000, 1.0, [1] * 5).slots_us) == 2
    assert plan_slots(NOW_US + 1_000_001, NOW_US, 1_000_000, 1.0, [1] * 5).slots_us == ()


@given(RATE, st.integers(1, 1000), HORIZON)
def test_batch_limit_covers_the_horizon(rate: float, max_limit: int, horizon_us: int) -> None:
    limit = batch_limit(horizon_us, rate, max_limit)
    assert 1 <= limit <= max_limit
    slots = plan_slots(NOW_US, NOW_US, horizon_us, rate, [1] * max_limit).slots_us
    assert len(slots) <= limit + 1 + horizon_us * rate / MICROSECONDS_PER_SECOND * 0.01


def test_default_rate_is_the_slowest() -> None:
    assert min(RATES.values()) == RATES["long_code"]


@pytest.mark.parametrize("rate", ["1e-320", "1e-12"])
def test_lowest_valid_rate_has_a_slot_within_a_day(rate: str) -> None:
    try:
        value = TWILIO_SCHEMA.sender_schema.parse("S", f'{{"FromNumber": "+12025550100", "SegmentsPerSecond": {rate}}}')
    except SettingError:
        return
    plan = plan_slots(NOW_US, NOW_US, MICROSECONDS_PER_SECOND, value["SegmentsPerSecond"], [1])
    assert plan.next_free_us - NOW_US < 86_400 * MICROSECONDS_PER_SECOND

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from portal.core.rules.pacing import DEFAULT_RATE, MICROSECONDS_PER_SECOND, RATES, batch_limit, plan_slots
from portal.core.rules.setting_error import SettingError
from portal.gateways.rules.twilio_settings import TWILIO_SCHEMA

NOW_US = 1_790_000_000 * MICROSECONDS_PER_SECOND
RATE = st.sampled_from([0.1, 0.25, 1.0, 3.0, 7.0, 30.0, 100.0, 225.0, 1000.0]) | st.floats(0.05, 1000)
SEGMENTS = st.lists(st.integers(0, 10), max_size=60)
NEXT_FREE = st.integers(-20 * MICROSECONDS_PER_SECOND, 20 * MICROSECONDS_PER_SECOND).map(lambda away: NOW_US + away)
HORIZON = st.integers(0, 5 * MICROSECONDS_PER_SECOND)
CLAIMS = st.lists(st.tuples(st.integers(0, 3 * MICROSECONDS_PER_SECOND), SEGMENTS), min_size=1, max_size=8)


def busiest_second(slots: list[tuple[int, int]]) -> float:
    """The most segments that begin in any sliding second, but for the last text in it."""
    most = 0.0
    for first, (begins, _) in enumerate(slots):
        within = [max(count, 1) for begun, count in slots[first:] if begun - begins < MICROSECONDS_PER_SECOND]
        most = max(most, sum(within[:-1]))
    return most


def gaps_are_kept(slots: list[tuple[int, int]], rate: float) -> bool:
    """Between any two texts lies the time that the segments before the later one need, to the microsecond each."""
    for first in range(len(slots)):
        needed = 0.0
        for place in range(first + 1, len(slots)):
            needed += max(slots[place - 1][1], 1) * MICROSECONDS_PER_SECOND / rate
            if slots[place][0] - slots[first][0] < needed - (place - first):
                return False
    return True


@given(RATE, SEGMENTS, NEXT_FREE, HORIZON)
def test_no_sliding_second_holds_more_than_the_rate_and_one_text(
    rate: float, segments: list[int], next_free_us: int, horizon_us: int
) -> None:
    found = plan_slots(next_free_us, NOW_US, horizon_us, rate, segments)
    slots = list(zip(found.slots_us, segments, strict=False))
    assert busiest_second(slots) <= rate + 0.001
    assert gaps_are_kept(slots, rate)


@given(RATE, CLAIMS, NEXT_FREE, HORIZON)
def test_claims_that_follow_one_another_keep_the_rate_together(
    rate: float, claims: list[tuple[int, list[int]]], next_free_us: int, horizon_us: int
) -> None:
    now_us, slots = NOW_US, []
    for later_us, segments in claims:
        now_us += later_us
        found = plan_slots(next_free_us, now_us, horizon_us, rate, segments)
        slots += list(zip(found.slots_us, segments, strict=False))
        next_free_us = found.next_free_us
    assert busiest_second(slots) <= rate + 0.001
    assert gaps_are_kept(slots, rate)
    assert [begun for begun, _ in slots] == sorted(begun for begun, _ in slots)


@given(RATE, SEGMENTS, NEXT_FREE, HORIZON)
def test_a_slot_is_never_in_the_past_and_never_past_the_horizon(
    rate: float, segments: list[int], next_free_us: int, horizon_us: int
) -> None:
    found = plan_slots(next_free_us, NOW_US, horizon_us, rate, segments)
    assert all(NOW_US <= slot <= NOW_US + horizon_us for slot in found.slots_us)
    assert all(slot >= next_free_us for slot in found.slots_us)


@given(RATE, SEGMENTS, NEXT_FREE, HORIZON)
def test_a_plan_without_slots_leaves_the_sender_as_it_was(
    rate: float, segments: list[int], next_free_us: int, horizon_us: int
) -> None:
    found = plan_slots(next_free_us, NOW_US, horizon_us, rate, segments)
    if not found.slots_us:
        assert found.next_free_us == next_free_us
    else:
        assert found.next_free_us > found.slots_us[-1]


@given(RATE, SEGMENTS, st.integers(0, 10**15))
def test_a_number_that_stood_idle_catches_nothing_up(rate: float, segments: list[int], idle_us: int) -> None:
    assume(segments)
    horizon_us = MICROSECONDS_PER_SECOND
    assert plan_slots(NOW_US - idle_us, NOW_US, horizon_us, rate, segments) == plan_slots(
        NOW_US, NOW_US, horizon_us, rate, segments
    )


def test_a_text_of_three_segments_keeps_its_number_busy_for_three_turns() -> None:
    found = plan_slots(NOW_US, NOW_US, 10 * MICROSECONDS_PER_SECOND, 1.0, [1, 3, 1])
    assert [slot - NOW_US for slot in found.slots_us] == [0, 1_000_000, 4_000_000]
    assert found.next_free_us - NOW_US == 5_000_000


def test_a_horizon_of_a_second_takes_one_text_at_one_a_second_and_no_tenth_of_a_text_more() -> None:
    assert len(plan_slots(NOW_US, NOW_US, 999_999, 1.0, [1] * 5).slots_us) == 1
    assert len(plan_slots(NOW_US, NOW_US, 1_000_000, 1.0, [1] * 5).slots_us) == 2
    assert plan_slots(NOW_US + 1_000_001, NOW_US, 1_000_000, 1.0, [1] * 5).slots_us == ()


@given(RATE, st.integers(1, 1000), HORIZON)
def test_a_claim_reads_enough_rows_for_its_horizon_and_never_more_than_it_may(
    rate: float, most: int, horizon_us: int
) -> None:
    limit = batch_limit(horizon_us, rate, most)
    assert 1 <= limit <= most
    taken = len(plan_slots(NOW_US, NOW_US, horizon_us, rate, [1] * most).slots_us)
    assert taken <= limit + 1 + horizon_us * rate / MICROSECONDS_PER_SECOND * 0.01


def test_a_number_of_unknown_type_is_taken_for_the_slowest() -> None:
    assert min(RATES.values()) == DEFAULT_RATE


@pytest.mark.parametrize("rate", ["1e-320", "1e-12"])
def test_every_rate_that_may_be_set_has_a_next_slot_within_a_day(rate: str) -> None:
    try:
        value = TWILIO_SCHEMA.sender_schema.parse("S", f'{{"FromNumber": "+12025550100", "SegmentsPerSecond": {rate}}}')
    except SettingError:
        return
    found = plan_slots(NOW_US, NOW_US, MICROSECONDS_PER_SECOND, value["SegmentsPerSecond"], [1])
    assert found.next_free_us - NOW_US < 86_400 * MICROSECONDS_PER_SECOND

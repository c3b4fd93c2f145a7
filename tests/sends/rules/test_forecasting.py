from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.sends.rules.completion_forecast import (
    EMPTY_BACKLOG,
    LATE_AFTER_MS,
    Backlog,
    BlockReason,
    LaneContext,
    estimate_completion,
    interleaved_segments,
    is_late,
)

NOW_MS = 1_790_000_000_000
COUNT = st.integers(1, 400)
COUNTS = st.lists(COUNT, max_size=6)


def sent_by_first_completion(mine: int, others: list[int]) -> int:
    """Texts leave one of each in turn; how many have left when the last of `mine` has."""
    waiting = deque([(0, mine), *((place + 1, count) for place, count in enumerate(others))])
    left = 0
    while True:
        who, count = waiting.popleft()
        left += 1
        if count > 1:
            waiting.append((who, count - 1))
        elif who == 0:
            return left


def last_text_at_ms(mine: Backlog, around: LaneContext, rate: float, now_ms: int) -> int:
    return estimate_completion(mine, around, rate, now_ms).last_text_at_ms


def backlog(count: int, weight: float = 1.0) -> Backlog:
    return Backlog(count, count * weight)


@given(COUNT, COUNTS)
def test_the_forecast_is_what_taking_turns_comes_to(mine: int, others: list[int]) -> None:
    forecast = mine + interleaved_segments(backlog(mine), [backlog(count) for count in others])
    assert 0 <= forecast - sent_by_first_completion(mine, others) <= len(others)


@given(COUNT, COUNTS, COUNT, st.floats(0.25, 1000))
def test_whoever_shares_ends_no_sooner_than_alone_and_no_later_than_behind_all_others(
    mine: int, others: list[int], ahead: int, rate: float
) -> None:
    beside = tuple(backlog(count) for count in others)
    alone = last_text_at_ms(backlog(mine), LaneContext(), rate, NOW_MS)
    sharing = last_text_at_ms(backlog(mine), LaneContext(concurrent_backlogs=beside), rate, NOW_MS)
    behind = last_text_at_ms(backlog(mine), LaneContext(urgent_backlog=backlog(sum(others))), rate, NOW_MS)
    assert alone <= sharing <= behind
    assert last_text_at_ms(backlog(mine), LaneContext(backlog(ahead), beside), rate, NOW_MS) >= sharing


@given(COUNTS.filter(bool), st.floats(0.25, 1000))
def test_of_all_that_share_the_largest_ends_when_everything_has_left(counts: list[int], rate: float) -> None:
    largest, *others = sorted(counts, reverse=True)
    ends = last_text_at_ms(backlog(largest), LaneContext(concurrent_backlogs=tuple(map(backlog, others))), rate, NOW_MS)
    assert ends == last_text_at_ms(backlog(sum(counts)), LaneContext(), rate, NOW_MS)


@given(COUNT, COUNTS, st.integers(1, 3))
def test_a_text_that_weighs_more_takes_its_share_by_turns_and_not_by_weight(
    mine: int, others: list[int], weight: int
) -> None:
    heavy = [backlog(count, weight) for count in others]
    assert interleaved_segments(backlog(mine), heavy) == pytest.approx(
        weight * interleaved_segments(backlog(mine), [backlog(count) for count in others])
    )


def test_forty_beside_a_hundred_thousand_end_after_eighty_and_not_after_all() -> None:
    around = LaneContext(concurrent_backlogs=(backlog(100_000),))
    assert last_text_at_ms(backlog(40), around, 1.0, NOW_MS) - NOW_MS == 79_000


@pytest.mark.parametrize(
    ("mine", "around", "seconds"),
    [
        (backlog(1), LaneContext(), 0),
        (backlog(2_000), LaneContext(), 1_999 / 20),
        (backlog(2_000), LaneContext(busy_us=5_000_000), 5 + 1_999 / 20),
        (backlog(2_000), LaneContext(busy_us=-5_000_000), 1_999 / 20),
        (backlog(100), LaneContext(urgent_backlog=backlog(200)), 299 / 20),
        (backlog(100, 2), LaneContext(), 199 / 20),
        (backlog(100), LaneContext(concurrent_backlogs=(backlog(100), backlog(50), EMPTY_BACKLOG)), 249 / 20),
    ],
)
def test_when_the_last_text_leaves_at_twenty_segments_a_second(
    mine: Backlog, around: LaneContext, seconds: float
) -> None:
    assert last_text_at_ms(mine, around, 20.0, NOW_MS) - NOW_MS == pytest.approx(seconds * 1000, abs=1)


def test_texts_of_which_the_last_leaves_after_ten_hours_are_too_late() -> None:
    assert not is_late(NOW_MS + LATE_AFTER_MS, NOW_MS)
    assert is_late(NOW_MS + LATE_AFTER_MS + 1, NOW_MS)
    one_a_second = last_text_at_ms(backlog(36_002), LaneContext(), 1.0, NOW_MS)
    assert is_late(one_a_second, NOW_MS)


def test_loads_add_up_and_every_standstill_has_its_words() -> None:
    assert backlog(2, 1.5) + backlog(3) == Backlog(5, 6.0)
    assert all(standstill.label for standstill in BlockReason)

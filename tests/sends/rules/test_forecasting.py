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


def sent_until_first_ends(mine: int, others: list[int]) -> int:
    """Sends take turns, one text each: the number of texts sent when the first send ends."""
    waiting = deque([(0, mine), *((index + 1, count) for index, count in enumerate(others))])
    sent = 0
    while True:
        index, count = waiting.popleft()
        sent += 1
        if count > 1:
            waiting.append((index, count - 1))
        elif index == 0:
            return sent


def last_text_at_ms(backlog: Backlog, context: LaneContext, rate: float, now_ms: int) -> int:
    return estimate_completion(backlog, context, rate, now_ms).last_text_at_ms


def backlog(count: int, segments_per_text: float = 1.0) -> Backlog:
    return Backlog(count, count * segments_per_text)


@given(COUNT, COUNTS)
def test_forecast_matches_taking_turns(mine: int, others: list[int]) -> None:
    forecast = mine + interleaved_segments(backlog(mine), [backlog(count) for count in others])
    assert 0 <= forecast - sent_until_first_ends(mine, others) <= len(others)


@given(COUNT, COUNTS, COUNT, st.floats(0.25, 1000))
def test_sharing_ends_between_alone_and_last(mine: int, others: list[int], urgent: int, rate: float) -> None:
    concurrent = tuple(backlog(count) for count in others)
    alone = last_text_at_ms(backlog(mine), LaneContext(), rate, NOW_MS)
    sharing = last_text_at_ms(backlog(mine), LaneContext(concurrent_backlogs=concurrent), rate, NOW_MS)
    behind = last_text_at_ms(backlog(mine), LaneContext(urgent_backlog=backlog(sum(others))), rate, NOW_MS)
    assert alone <= sharing <= behind
    assert last_text_at_ms(backlog(mine), LaneContext(backlog(urgent), concurrent), rate, NOW_MS) >= sharing


@given(COUNTS.filter(bool), st.floats(0.25, 1000))
def test_largest_send_ends_last(counts: list[int], rate: float) -> None:
    largest, *others = sorted(counts, reverse=True)
    ends = last_text_at_ms(backlog(largest), LaneContext(concurrent_backlogs=tuple(map(backlog, others))), rate, NOW_MS)
    assert ends == last_text_at_ms(backlog(sum(counts)), LaneContext(), rate, NOW_MS)


@given(COUNT, COUNTS, st.integers(1, 3))
def test_turns_are_by_text_and_not_by_segment(mine: int, others: list[int], segments: int) -> None:
    large = [backlog(count, segments) for count in others]
    assert interleaved_segments(backlog(mine), large) == pytest.approx(
        segments * interleaved_segments(backlog(mine), [backlog(count) for count in others])
    )


def test_small_send_sharing_the_lane_ends_early() -> None:
    context = LaneContext(concurrent_backlogs=(backlog(100_000),))
    assert last_text_at_ms(backlog(40), context, 1.0, NOW_MS) - NOW_MS == 79_000


@pytest.mark.parametrize(
    ("own", "context", "seconds"),
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
def test_last_text_at_twenty_segments_a_second(own: Backlog, context: LaneContext, seconds: float) -> None:
    assert last_text_at_ms(own, context, 20.0, NOW_MS) - NOW_MS == pytest.approx(seconds * 1000, abs=1)


def test_send_is_late_after_ten_hours() -> None:
    assert not is_late(NOW_MS + LATE_AFTER_MS, NOW_MS)
    assert is_late(NOW_MS + LATE_AFTER_MS + 1, NOW_MS)
    one_a_second = last_text_at_ms(backlog(36_002), LaneContext(), 1.0, NOW_MS)
    assert is_late(one_a_second, NOW_MS)


def test_backlogs_add_up() -> None:
    assert backlog(2, 1.5) + backlog(3) == Backlog(5, 6.0)


def test_every_block_reason_has_a_label() -> None:
    assert all(reason.label for reason in BlockReason)

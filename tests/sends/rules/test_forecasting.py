from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.sends.rules.completion_forecast import (
    EMPTY_BACKLOG,
    Backlog,
    BlockReason,
    estimate_completion,
    interleaved_segments,
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


def last_text_at_ms(backlog: Backlog, others: list[Backlog], rate: float, urgent_segments: int = 0) -> int:
    begins_ms = NOW_MS + urgent_segments * 1000 / rate
    return round(estimate_completion(backlog, others, rate, begins_ms)[0])


def backlog(count: int, segments_per_text: float = 1.0) -> Backlog:
    return Backlog(count, count * segments_per_text)


@given(COUNT, COUNTS)
def test_forecast_matches_taking_turns(mine: int, others: list[int]) -> None:
    forecast = mine + interleaved_segments(backlog(mine), [backlog(count) for count in others])
    assert 0 <= forecast - sent_until_first_ends(mine, others) <= len(others)


@given(COUNT, COUNTS, COUNT, st.floats(0.25, 1000))
def test_sharing_ends_between_alone_and_last(mine: int, others: list[int], urgent: int, rate: float) -> None:
    concurrent = [backlog(count) for count in others]
    alone = last_text_at_ms(backlog(mine), [], rate)
    sharing = last_text_at_ms(backlog(mine), concurrent, rate)
    behind = last_text_at_ms(backlog(mine), [], rate, sum(others))
    assert alone <= sharing <= behind
    assert last_text_at_ms(backlog(mine), concurrent, rate, urgent) >= sharing


@given(COUNTS.filter(bool), st.floats(0.25, 1000))
def test_largest_send_ends_last(counts: list[int], rate: float) -> None:
    largest, *others = sorted(counts, reverse=True)
    ends = last_text_at_ms(backlog(largest), [backlog(count) for count in others], rate)
    assert ends == last_text_at_ms(backlog(sum(counts)), [], rate)


@given(COUNT, COUNTS, st.integers(1, 3))
def test_turns_are_by_text_and_not_by_segment(mine: int, others: list[int], segments: int) -> None:
    large = [backlog(count, segments) for count in others]
    assert interleaved_segments(backlog(mine), large) == pytest.approx(
        segments * interleaved_segments(backlog(mine), [backlog(count) for count in others])
    )


def test_small_send_sharing_the_lane_ends_early() -> None:
    assert last_text_at_ms(backlog(40), [backlog(100_000)], 1.0) - NOW_MS == 79_000


@pytest.mark.parametrize(
    ("own", "others", "urgent_segments", "seconds"),
    [
        (backlog(1), [], 0, 0),
        (backlog(2_000), [], 0, 1_999 / 20),
        (backlog(100), [], 200, 299 / 20),
        (backlog(100, 2), [], 0, 199 / 20),
        (backlog(100), [backlog(100), backlog(50), EMPTY_BACKLOG], 0, 249 / 20),
    ],
)
def test_last_text_at_twenty_segments_a_second(
    own: Backlog, others: list[Backlog], urgent_segments: int, seconds: float
) -> None:
    assert last_text_at_ms(own, others, 20.0, urgent_segments) - NOW_MS == pytest.approx(seconds * 1000, abs=1)


def test_every_block_reason_has_a_label() -> None:
    assert all(reason.label for reason in BlockReason)

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.domain.forecasting import (
    NOTHING,
    USEFUL_MS,
    Load,
    Standstill,
    Surroundings,
    foresee,
    is_too_late,
    shared,
)

NOW_MS = 1_790_000_000_000
COUNT = st.integers(1, 400)
COUNTS = st.lists(COUNT, max_size=6)


def left_when_the_first_ends(mine: int, others: list[int]) -> int:
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


def last_text_ms(mine: Load, around: Surroundings, rate: float, now_ms: int) -> int:
    return foresee(mine, around, rate, now_ms).last_ms


def load(count: int, weight: float = 1.0) -> Load:
    return Load(count, count * weight)


@given(COUNT, COUNTS)
def test_the_forecast_is_what_taking_turns_comes_to(mine: int, others: list[int]) -> None:
    forecast = mine + shared(load(mine), [load(count) for count in others])
    assert 0 <= forecast - left_when_the_first_ends(mine, others) <= len(others)


@given(COUNT, COUNTS, COUNT, st.floats(0.25, 1000))
def test_whoever_shares_ends_no_sooner_than_alone_and_no_later_than_behind_all_others(
    mine: int, others: list[int], ahead: int, rate: float
) -> None:
    beside = tuple(load(count) for count in others)
    alone = last_text_ms(load(mine), Surroundings(), rate, NOW_MS)
    sharing = last_text_ms(load(mine), Surroundings(beside=beside), rate, NOW_MS)
    behind = last_text_ms(load(mine), Surroundings(ahead=load(sum(others))), rate, NOW_MS)
    assert alone <= sharing <= behind
    assert last_text_ms(load(mine), Surroundings(load(ahead), beside), rate, NOW_MS) >= sharing


@given(COUNTS.filter(bool), st.floats(0.25, 1000))
def test_of_all_that_share_the_largest_ends_when_everything_has_left(counts: list[int], rate: float) -> None:
    largest, *others = sorted(counts, reverse=True)
    ends = last_text_ms(load(largest), Surroundings(beside=tuple(map(load, others))), rate, NOW_MS)
    assert ends == last_text_ms(load(sum(counts)), Surroundings(), rate, NOW_MS)


@given(COUNT, COUNTS, st.integers(1, 3))
def test_a_text_that_weighs_more_takes_its_share_by_turns_and_not_by_weight(
    mine: int, others: list[int], weight: int
) -> None:
    heavy = [load(count, weight) for count in others]
    assert shared(load(mine), heavy) == pytest.approx(weight * shared(load(mine), [load(count) for count in others]))


def test_forty_beside_a_hundred_thousand_end_after_eighty_and_not_after_all() -> None:
    around = Surroundings(beside=(load(100_000),))
    assert last_text_ms(load(40), around, 1.0, NOW_MS) - NOW_MS == 79_000


@pytest.mark.parametrize(
    ("mine", "around", "seconds"),
    [
        (load(1), Surroundings(), 0),
        (load(2_000), Surroundings(), 1_999 / 20),
        (load(2_000), Surroundings(taken_us=5_000_000), 5 + 1_999 / 20),
        (load(2_000), Surroundings(taken_us=-5_000_000), 1_999 / 20),
        (load(100), Surroundings(ahead=load(200)), 299 / 20),
        (load(100, 2), Surroundings(), 199 / 20),
        (load(100), Surroundings(beside=(load(100), load(50), NOTHING)), 249 / 20),
    ],
)
def test_when_the_last_text_leaves_at_twenty_segments_a_second(
    mine: Load, around: Surroundings, seconds: float
) -> None:
    assert last_text_ms(mine, around, 20.0, NOW_MS) - NOW_MS == pytest.approx(seconds * 1000, abs=1)


def test_texts_of_which_the_last_leaves_after_ten_hours_are_too_late() -> None:
    assert not is_too_late(NOW_MS + USEFUL_MS, NOW_MS)
    assert is_too_late(NOW_MS + USEFUL_MS + 1, NOW_MS)
    one_a_second = last_text_ms(load(36_002), Surroundings(), 1.0, NOW_MS)
    assert is_too_late(one_a_second, NOW_MS)


def test_loads_add_up_and_every_standstill_has_its_words() -> None:
    assert load(2, 1.5) + load(3) == Load(5, 6.0)
    assert all(standstill.words for standstill in Standstill)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.delivery.rules.concurrency_limit import ConcurrencyLimit

MOST = st.integers(1, 100)
ANSWERS = st.lists(st.booleans(), max_size=400)
TOO_MANY, GOOD = True, False


def allowed(ceiling: ConcurrencyLimit) -> int:
    return ceiling.capacity(0)


def limit_after(most: int, answers: list[bool]) -> ConcurrencyLimit:
    ceiling = ConcurrencyLimit(most)
    for answer in answers:
        ceiling.record_response(answer)
    return ceiling


@given(MOST)
def test_at_its_highest_as_many_again_may_wait_for_a_request_to_end(most: int) -> None:
    assert allowed(ConcurrencyLimit(most)) == 2 * most
    assert ConcurrencyLimit(most).capacity(2 * most) == 0


@given(MOST, ANSWERS)
def test_whatever_is_answered_at_least_one_request_may_be_made(most: int, answers: list[bool]) -> None:
    assert 1 <= allowed(limit_after(most, answers)) <= 2 * most


@given(MOST, st.integers(0, 400))
def test_good_answers_alone_change_nothing(most: int, count: int) -> None:
    assert allowed(limit_after(most, [GOOD] * count)) == 2 * most


@pytest.mark.parametrize(("most", "then"), [(64, 32), (10, 5), (3, 1), (1, 2)])
def test_too_many_halves_it_and_one_alone_stays_one(most: int, then: int) -> None:
    assert allowed(limit_after(most, [TOO_MANY])) == then


@given(st.integers(4, 100))
def test_the_same_burst_halves_it_once(most: int) -> None:
    """All that were in flight with the first complain as well."""
    assert allowed(limit_after(most, [TOO_MANY] * most)) == most // 2


def test_a_provider_that_goes_on_complaining_brings_it_down_to_one() -> None:
    assert allowed(limit_after(64, [TOO_MANY] * 200)) == 1


def test_it_recovers_by_one_for_each_round_of_good_answers() -> None:
    ceiling = limit_after(8, [TOO_MANY])
    found = []
    for _ in range(4 + 5 + 6 + 7):
        ceiling.record_response(GOOD)
        found.append(allowed(ceiling))
    assert found == [4] * 3 + [5] * 5 + [6] * 6 + [7] * 7 + [16]


@given(MOST, ANSWERS)
def test_it_always_comes_back_to_its_highest(most: int, answers: list[bool]) -> None:
    assert allowed(limit_after(most, [*answers, *[GOOD] * (most * most + most)])) == 2 * most


def test_a_complaint_in_between_starts_the_round_again() -> None:
    ceiling = limit_after(4, [TOO_MANY, *[GOOD] * 4])
    assert allowed(ceiling) == 3
    for answer in (GOOD, GOOD, TOO_MANY, GOOD, GOOD):
        ceiling.record_response(answer)
    assert allowed(ceiling) < 4

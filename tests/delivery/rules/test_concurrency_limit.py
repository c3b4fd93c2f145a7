import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.delivery.rules.concurrency_limit import ConcurrencyLimit

MAXIMUM = st.integers(1, 100)
RESPONSES = st.lists(st.booleans(), max_size=400)
TOO_MANY, GOOD = True, False


def allowed(limit: ConcurrencyLimit) -> int:
    return limit.capacity(0)


def limit_after(maximum: int, responses: list[bool]) -> ConcurrencyLimit:
    limit = ConcurrencyLimit(maximum)
    for response in responses:
        limit.record_response(response)
    return limit


@given(MAXIMUM)
def test_maximum_capacity_is_twice_the_limit(maximum: int) -> None:
    assert allowed(ConcurrencyLimit(maximum)) == 2 * maximum
    assert ConcurrencyLimit(maximum).capacity(2 * maximum) == 0


@given(MAXIMUM, RESPONSES)
def test_capacity_never_falls_below_one(maximum: int, responses: list[bool]) -> None:
    assert 1 <= allowed(limit_after(maximum, responses)) <= 2 * maximum


@given(MAXIMUM, st.integers(0, 400))
def test_successes_do_not_change_the_maximum(maximum: int, count: int) -> None:
    assert allowed(limit_after(maximum, [GOOD] * count)) == 2 * maximum


@pytest.mark.parametrize(("maximum", "expected"), [(64, 32), (10, 5), (3, 1), (1, 2)])
def test_too_many_requests_halves_the_limit(maximum: int, expected: int) -> None:
    assert allowed(limit_after(maximum, [TOO_MANY])) == expected


@given(st.integers(4, 100))
def test_one_burst_halves_the_limit_once(maximum: int) -> None:
    """All requests in flight with the first are rejected as well."""
    assert allowed(limit_after(maximum, [TOO_MANY] * maximum)) == maximum // 2


def test_persistent_rejections_reduce_the_limit_to_one() -> None:
    assert allowed(limit_after(64, [TOO_MANY] * 200)) == 1


def test_limit_recovers_by_one_per_round_of_successes() -> None:
    limit = limit_after(8, [TOO_MANY])
    limits = []
    for _ in range(4 + 5 + 6 + 7):
        limit.record_response(GOOD)
        limits.append(allowed(limit))
    assert limits == [4] * 3 + [5] * 5 + [6] * 6 + [7] * 7 + [16]


@given(MAXIMUM, RESPONSES)
def test_limit_always_recovers_to_the_maximum(maximum: int, responses: list[bool]) -> None:
    assert allowed(limit_after(maximum, [*responses, *[GOOD] * (maximum * maximum + maximum)])) == 2 * maximum


def test_rejection_restarts_the_round() -> None:
    limit = limit_after(4, [TOO_MANY, *[GOOD] * 4])
    assert allowed(limit) == 3
    for response in (GOOD, GOOD, TOO_MANY, GOOD, GOOD):
        limit.record_response(response)
    assert allowed(limit) < 4

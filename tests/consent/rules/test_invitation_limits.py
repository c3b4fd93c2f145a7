"""How often invitations may leave, and where."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.consent.rules.invitation_limits import (
    DAY_MS,
    RateLimit,
    longest_limit_hit,
    number_ineligibility,
    rate_limits,
)

DETERMINISTIC = settings(derandomize=True, deadline=None, max_examples=150)
MINUTE_MS = 60_000
NOW_MS = 10 * DAY_MS
LIMITS = st.builds(RateLimit, st.just("number"), st.integers(1, 4), st.integers(1, 200), st.just("Too many."))
TIMES = st.lists(st.integers(NOW_MS - 300, NOW_MS), max_size=12).map(sorted)


@DETERMINISTIC
@given(st.lists(st.tuples(LIMITS, TIMES), max_size=4))
def test_rate_limited_request_is_allowed_at_retry_time(found: list[tuple[RateLimit, list[int]]]) -> None:
    first = longest_limit_hit(found, NOW_MS)
    if first is None:
        for limit, times in found:
            assert sum(time > NOW_MS - limit.window_ms for time in times) < limit.max_requests
        return
    _message, retry_at_ms = first
    assert retry_at_ms > NOW_MS
    assert longest_limit_hit(found, retry_at_ms) is None
    assert longest_limit_hit(found, retry_at_ms - 1) is not None


@DETERMINISTIC
@given(LIMITS, st.lists(st.integers(0, 120), min_size=1, max_size=40))
def test_no_time_window_exceeds_the_limit(limit: RateLimit, pauses: list[int]) -> None:
    now_ms = NOW_MS
    sent_ms: list[int] = []
    for pause in pauses:
        now_ms += pause
        if longest_limit_hit([(limit, sent_ms)], now_ms) is None:
            sent_ms.append(now_ms)
    for begin in sent_ms:
        assert sum(begin <= time < begin + limit.window_ms for time in sent_ms) <= limit.max_requests


def test_number_limit_is_one_in_ten_minutes_and_three_a_day() -> None:
    number = [limit for limit in rate_limits(500, by_admin=False) if limit.key == "number"]
    assert [(limit.max_requests, limit.window_ms) for limit in number] == [(1, 10 * MINUTE_MS), (3, DAY_MS)]


def test_administrator_is_limited_by_number_and_budget_only() -> None:
    assert [limit.key for limit in rate_limits(500, by_admin=True)] == ["number", "number", ""]
    assert {limit.key for limit in rate_limits(500, by_admin=False)} == {"number", "", "account_id", "ip"}
    assert [limit.max_requests for limit in rate_limits(7, by_admin=True) if limit.key == ""] == [7]


def test_longest_limit_is_reported() -> None:
    short, long = RateLimit("number", 1, 100, "short"), RateLimit("", 1, 1_000, "long")
    found = longest_limit_hit([(long, [NOW_MS - 10]), (short, [NOW_MS - 10])], NOW_MS)
    assert found == ("long", NOW_MS + 990)


@pytest.mark.parametrize(
    ("number", "countries", "message"),
    [
        ("+14152000001", ["US"], ""),
        ("+16135550123", ["US", "CA"], ""),
        ("+447400123456", ["GB"], ""),
        ("+17872345678", ["US"], ""),
        ("+19392345678", ["US"], ""),
        ("+13406421234", ["US"], ""),
        ("+16713001234", ["US"], ""),
        ("+16847331234", ["US"], ""),
        ("+16702345678", ["US"], ""),
        ("+14362345678", ["US"], ""),
        ("+447797712345", ["GB"], ""),
        ("+447781123456", ["GB"], ""),
        ("+447924123456", ["GB"], ""),
        ("+17872345678", ["CA"], "We can only text numbers in Canada."),
        ("+17872345678", ["PR"], ""),
        ("+12024561111", ["PR"], "We can only text numbers in PR."),
        ("+14412345678", ["US"], "We can only text numbers in the United States."),
        ("+447797712345", ["US"], "We can only text numbers in the United States."),
        ("+16135550123", ["US"], "We can only text numbers in the United States."),
        ("+447400123456", ["US", "CA"], "We can only text numbers in the United States and Canada."),
        ("+18765550123", ["US"], "We can only text numbers in the United States."),
        ("+4915123456789", ["US", "AT"], "We can only text numbers in the United States and AT."),
        ("+19005550123", ["US"], "a premium-rate number"),
        ("+449012345678", ["GB"], "a premium-rate number"),
        ("+611300123456", ["AU"], "a shared-cost number"),
        ("+15005550006", ["GB"], "We can only text numbers in"),
        ("+999123456789", ["US"], "not a phone number"),
        ("60606", ["US"], "not a phone number"),
        ("BANK", ["US"], "not a phone number"),
        ("", ["US"], "not a phone number"),
    ],
)
def test_invitation_destination_is_checked(number: str, countries: list[str], message: str) -> None:
    found = number_ineligibility(number, countries, test_mode=False)
    assert message in (found or "")
    assert (found is None) == (message == "")


def test_magic_numbers_can_be_invited_in_test_mode() -> None:
    assert number_ineligibility("+15005550009", ["GB"], test_mode=True) is None
    assert number_ineligibility("+447400123456", ["US"], test_mode=True) is not None

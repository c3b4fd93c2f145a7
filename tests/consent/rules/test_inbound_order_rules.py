"""Where texts that were heard late stand in time."""

from hypothesis import given, settings
from hypothesis import strategies as st

from portal.consent.rules.inbound_ordering import MAX_PROMPT_DELAY_MS, times_in_order

DETERMINISTIC = settings(derandomize=True, deadline=None, max_examples=100)
NOW_MS = 10_000_000
DELAYS = st.none() | st.integers(-3_000, 4 * MAX_PROMPT_DELAY_MS)
"""From a text to its webhook: none when it was lost; below zero when our clock is behind Twilio's."""


@st.composite
def message_lists(draw: st.DrawFn) -> list[tuple[int, int | None]]:
    """As Twilio lists them, oldest first: whole seconds that never go back, and when the webhooks came."""
    heard = []
    for second in sorted(draw(st.lists(st.integers(9_000, 9_999), max_size=12))):
        delay_ms = draw(DELAYS)
        heard.append((second * 1000, None if delay_ms is None else second * 1000 + delay_ms))
    return heard


@DETERMINISTIC
@given(message_lists())
def test_twilio_order_wins_whatever_order_webhooks_arrive_in(listed: list[tuple[int, int | None]]) -> None:
    times = times_in_order(listed, NOW_MS)
    assert len(times) == len(listed)
    assert times == sorted(times)


@DETERMINISTIC
@given(message_lists())
def test_no_message_is_dated_later_than_possible(listed: list[tuple[int, int | None]]) -> None:
    for at_ms, (sent_ms, received_ms) in zip(times_in_order(listed, NOW_MS), listed, strict=True):
        assert at_ms <= NOW_MS
        if received_ms is None or received_ms - sent_ms > MAX_PROMPT_DELAY_MS:
            assert at_ms <= sent_ms + 999
        else:
            assert at_ms <= received_ms


@DETERMINISTIC
@given(message_lists(), st.integers(0, 5))
def test_late_information_does_not_move_later_messages(listed: list[tuple[int, int | None]], lost: int) -> None:
    if not listed:
        return
    lost %= len(listed)
    before = times_in_order([*listed[:lost], *listed[lost + 1 :]], NOW_MS)
    assert times_in_order(listed, NOW_MS)[lost + 1 :] == before[lost:]


def test_prompt_webhook_time_is_used_and_late_one_is_not() -> None:
    assert times_in_order([(5_000, 5_400)], NOW_MS) == [5_400]
    assert times_in_order([(5_000, 5_000 + MAX_PROMPT_DELAY_MS + 1)], NOW_MS) == [5_999]
    assert times_in_order([(5_000, None)], NOW_MS) == [5_999]


def test_overtaken_text_is_ordered_before_the_overtaking_one() -> None:
    stop, start = (5_000, 9_000), (6_000, 6_200)
    assert times_in_order([stop, start], NOW_MS) == [6_200, 6_200]


def test_provider_clock_ahead_dates_nothing_in_the_future() -> None:
    assert times_in_order([(NOW_MS + 50_000, None)], NOW_MS) == [NOW_MS]


def test_empty_list_orders_nothing() -> None:
    assert times_in_order([], NOW_MS) == []

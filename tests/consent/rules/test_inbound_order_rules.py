"""Where texts that were heard late stand in time."""

from hypothesis import given, settings
from hypothesis import strategies as st

from portal.consent.rules.inbound_ordering import MAX_PROMPT_DELAY_MS, ReceivedMessage, order_messages

DETERMINISTIC = settings(derandomize=True, deadline=None, max_examples=100)
NOW_MS = 10_000_000
DELAYS = st.none() | st.integers(-3_000, 4 * MAX_PROMPT_DELAY_MS)
"""From a text to its webhook: none when it was lost; below zero when our clock is behind Twilio's."""


@st.composite
def message_lists(draw: st.DrawFn) -> list[ReceivedMessage]:
    """As Twilio lists them, oldest first: whole seconds that never go back."""
    seconds = sorted(draw(st.lists(st.integers(9_000, 9_999), max_size=12)))
    heard = []
    for place_in_list, second in enumerate(seconds):
        delay_ms = draw(DELAYS)
        received_ms = None if delay_ms is None else second * 1000 + delay_ms
        heard.append(ReceivedMessage(f"SM{place_in_list}", second * 1000, received_ms))
    return heard


@DETERMINISTIC
@given(message_lists())
def test_twilio_order_wins_whatever_order_webhooks_arrive_in(listed: list[ReceivedMessage]) -> None:
    placed = order_messages(listed, NOW_MS)
    assert [message.provider_id for message in placed] == [message.provider_id for message in listed]
    keys = [(message.at_ms, message.rank) for message in placed]
    assert keys == sorted(set(keys))


@DETERMINISTIC
@given(message_lists())
def test_no_message_is_dated_later_than_possible(listed: list[ReceivedMessage]) -> None:
    for message, heard in zip(order_messages(listed, NOW_MS), listed, strict=True):
        assert message.at_ms <= NOW_MS
        if heard.received_ms is None or heard.received_ms - heard.sent_ms > MAX_PROMPT_DELAY_MS:
            assert message.at_ms <= heard.sent_ms + 999
        else:
            assert message.at_ms <= heard.received_ms


@DETERMINISTIC
@given(message_lists(), st.integers(0, 5))
def test_late_information_does_not_move_later_messages(listed: list[ReceivedMessage], lost: int) -> None:
    if not listed:
        return
    lost %= len(listed)
    before = {
        message.provider_id: message.at_ms for message in order_messages([*listed[:lost], *listed[lost + 1 :]], NOW_MS)
    }
    for message in order_messages(listed, NOW_MS)[lost + 1 :]:
        assert message.at_ms == before[message.provider_id]


def test_prompt_webhook_time_is_used_and_late_one_is_not() -> None:
    prompt = ReceivedMessage("SM1", 5_000, 5_400)
    assert order_messages([prompt], NOW_MS)[0].at_ms == 5_400
    late_message = ReceivedMessage("SM1", 5_000, 5_000 + MAX_PROMPT_DELAY_MS + 1)
    assert order_messages([late_message], NOW_MS)[0].at_ms == 5_999
    assert order_messages([ReceivedMessage("SM1", 5_000, None)], NOW_MS)[0].at_ms == 5_999


def test_overtaken_text_is_ordered_before_the_overtaking_one() -> None:
    stop, start = ReceivedMessage("SM1", 5_000, 9_000), ReceivedMessage("SM2", 6_000, 6_200)
    placed = order_messages([stop, start], NOW_MS)
    assert [(message.provider_id, message.at_ms, message.rank) for message in placed] == [
        ("SM1", 6_200, 0),
        ("SM2", 6_200, 1),
    ]


def test_provider_clock_ahead_dates_nothing_in_the_future() -> None:
    assert order_messages([ReceivedMessage("SM1", NOW_MS + 50_000, None)], NOW_MS)[0].at_ms == NOW_MS


def test_empty_list_orders_nothing() -> None:
    assert order_messages([], NOW_MS) == []

"""Where texts that were heard late stand in time."""

from hypothesis import given, settings
from hypothesis import strategies as st

from portal.domain.ordering import PROMPT_MS, Heard, place

SEEDED = settings(derandomize=True, deadline=None, max_examples=100)
NOW_MS = 10_000_000
DELAYS = st.none() | st.integers(-3_000, 4 * PROMPT_MS)
"""From a text to its webhook: none when it was lost; below zero when our clock is behind Twilio's."""


@st.composite
def lists(draw: st.DrawFn) -> list[Heard]:
    """As Twilio lists them, oldest first: whole seconds that never go back."""
    seconds = sorted(draw(st.lists(st.integers(9_000, 9_999), max_size=12)))
    heard = []
    for place_in_list, second in enumerate(seconds):
        delay_ms = draw(DELAYS)
        received_ms = None if delay_ms is None else second * 1000 + delay_ms
        heard.append(Heard(f"SM{place_in_list}", second * 1000, received_ms))
    return heard


@SEEDED
@given(lists())
def test_twilios_order_holds_whatever_order_the_webhooks_came_in(listed: list[Heard]) -> None:
    placed = place(listed, NOW_MS)
    assert [one.provider_id for one in placed] == [one.provider_id for one in listed]
    keys = [(one.at_ms, one.rank) for one in placed]
    assert keys == sorted(set(keys))


@SEEDED
@given(lists())
def test_nothing_is_placed_later_than_it_can_have_been_said(listed: list[Heard]) -> None:
    for one, heard in zip(place(listed, NOW_MS), listed, strict=True):
        assert one.at_ms <= NOW_MS
        if heard.received_ms is None or heard.received_ms - heard.sent_ms > PROMPT_MS:
            assert one.at_ms <= heard.sent_ms + 999
        else:
            assert one.at_ms <= heard.received_ms


@SEEDED
@given(lists(), st.integers(0, 5))
def test_what_comes_to_be_known_later_moves_nothing_that_was_sent_after_it(listed: list[Heard], lost: int) -> None:
    if not listed:
        return
    lost %= len(listed)
    before = {one.provider_id: one.at_ms for one in place([*listed[:lost], *listed[lost + 1 :]], NOW_MS)}
    for one in place(listed, NOW_MS)[lost + 1 :]:
        assert one.at_ms == before[one.provider_id]


def test_a_webhook_that_came_at_once_tells_the_time_and_a_late_one_does_not() -> None:
    prompt = Heard("SM1", 5_000, 5_400)
    assert place([prompt], NOW_MS)[0].at_ms == 5_400
    late = Heard("SM1", 5_000, 5_000 + PROMPT_MS + 1)
    assert place([late], NOW_MS)[0].at_ms == 5_999
    assert place([Heard("SM1", 5_000, None)], NOW_MS)[0].at_ms == 5_999


def test_a_text_that_was_overtaken_stands_before_the_one_that_overtook_it() -> None:
    stop, start = Heard("SM1", 5_000, 9_000), Heard("SM2", 6_000, 6_200)
    placed = place([stop, start], NOW_MS)
    assert [(one.provider_id, one.at_ms, one.rank) for one in placed] == [("SM1", 6_200, 0), ("SM2", 6_200, 1)]


def test_a_clock_ahead_of_ours_places_nothing_in_the_future() -> None:
    assert place([Heard("SM1", NOW_MS + 50_000, None)], NOW_MS)[0].at_ms == NOW_MS


def test_an_empty_list_places_nothing() -> None:
    assert place([], NOW_MS) == []

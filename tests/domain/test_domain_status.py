import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.domain.status import GROUPS, OPEN, STATES, UNSENT, earlier_than, may_move, state_for_receipt

NAMES = st.sampled_from(sorted(STATES))
TWILIOS = (
    "accepted",
    "scheduled",
    "queued",
    "sending",
    "sent",
    "delivered",
    "read",
    "undelivered",
    "failed",
    "canceled",
)


@given(NAMES, NAMES)
def test_a_state_only_ever_moves_to_a_higher_rank_and_never_out_of_a_final_one(current: str, to: str) -> None:
    if may_move(current, to):
        assert STATES[to].rank > STATES[current].rank
        assert not STATES[current].final
    assert not (may_move(current, to) and may_move(to, current))


@given(st.lists(NAMES, max_size=12))
def test_whatever_events_come_in_whatever_order_the_first_final_state_stands(events: list[str]) -> None:
    current, first_final = "ready", None
    for event in events:
        current = event if may_move(current, event) else current
        if STATES[event].final:
            first_final = first_final or event
    if first_final:
        assert current == first_final


@pytest.mark.parametrize("final", [name for name in STATES if STATES[name].final])
def test_nothing_moves_out_of_a_final_state(final: str) -> None:
    assert not any(may_move(final, to) for to in STATES)
    assert final not in OPEN
    assert final not in earlier_than("delivered")


@pytest.mark.parametrize("name", OPEN)
def test_every_open_state_can_still_become_delivered_or_failed(name: str) -> None:
    assert may_move(name, "delivered")
    assert may_move(name, "failed")
    assert name in earlier_than("delivered")


def test_a_repeated_event_moves_nothing() -> None:
    assert not any(may_move(name, name) for name in STATES)


def test_what_twilio_accepted_never_counts_as_unsent() -> None:
    assert UNSENT == ("ready", "quiet", "held", "sending", "unknown")
    assert "accepted" in OPEN


@pytest.mark.parametrize("status", TWILIOS)
def test_every_status_of_twilio_has_a_state_of_ours(status: str) -> None:
    assert state_for_receipt(status, "") in STATES


@pytest.mark.parametrize(
    ("status", "code", "state"),
    [
        ("queued", "", "accepted"),
        ("sent", "", "sent"),
        ("delivered", "", "delivered"),
        ("read", "", "delivered"),
        ("undelivered", "30003", "undelivered"),
        ("failed", "30007", "failed"),
        ("failed", "21610", "suppressed"),
        ("undelivered", "21610", "suppressed"),
        ("delivered", "21610", "delivered"),
        ("receiving", "", None),
        ("", "", None),
        ("DELIVERED", "", None),
    ],
)
def test_a_receipt_becomes_the_state_it_speaks_of(status: str, code: str, state: str | None) -> None:
    assert state_for_receipt(status, code) == state


def test_a_receipt_never_sends_a_delivery_back_behind_what_twilio_accepted() -> None:
    states = [STATES[state] for status in TWILIOS if (state := state_for_receipt(status, ""))]
    assert min(state.rank for state in states) == STATES["accepted"].rank


def test_every_state_has_words_a_tone_and_a_group_that_is_counted() -> None:
    for state in STATES.values():
        assert state.message
        assert state.tone in ("ok", "wait", "bad", "off")
        assert state.group in GROUPS
        assert state.final == (state.rank == 9)

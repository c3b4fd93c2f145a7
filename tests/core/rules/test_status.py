import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.core.rules.delivery_status import (
    GROUPS,
    OPEN,
    STATES,
    UNSENT,
    can_transition,
    state_for_receipt,
    states_before,
)

NAMES = st.sampled_from(sorted(STATES))
TWILIO_STATUSES = (
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
    if can_transition(current, to):
        assert STATES[to].rank > STATES[current].rank
        assert not STATES[current].final
    assert not (can_transition(current, to) and can_transition(to, current))


@given(st.lists(NAMES, max_size=12))
def test_whatever_events_come_in_whatever_order_the_first_final_state_stands(events: list[str]) -> None:
    current, first_final = "ready", None
    for event in events:
        current = event if can_transition(current, event) else current
        if STATES[event].final:
            first_final = first_final or event
    if first_final:
        assert current == first_final


@pytest.mark.parametrize("final", [name for name in STATES if STATES[name].final])
def test_nothing_moves_out_of_a_final_state(final: str) -> None:
    assert not any(can_transition(final, to) for to in STATES)
    assert final not in OPEN
    assert final not in states_before("delivered")


@pytest.mark.parametrize("name", OPEN)
def test_every_open_state_can_still_become_delivered_or_failed(name: str) -> None:
    assert can_transition(name, "delivered")
    assert can_transition(name, "failed")
    assert name in states_before("delivered")


def test_a_repeated_event_moves_nothing() -> None:
    assert not any(can_transition(name, name) for name in STATES)


def test_what_twilio_accepted_never_counts_as_unsent() -> None:
    assert UNSENT == ("ready", "deferred", "paused", "sending", "unknown")
    assert "accepted" in OPEN


@pytest.mark.parametrize("status", TWILIO_STATUSES)
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
        ("failed", "21610", "opted_out"),
        ("undelivered", "21610", "opted_out"),
        ("delivered", "21610", "delivered"),
        ("receiving", "", None),
        ("", "", None),
        ("DELIVERED", "", None),
    ],
)
def test_a_receipt_becomes_the_state_it_speaks_of(status: str, code: str, state: str | None) -> None:
    assert state_for_receipt(status, code) == state


def test_a_receipt_never_sends_a_delivery_back_behind_what_twilio_accepted() -> None:
    states = [STATES[state] for status in TWILIO_STATUSES if (state := state_for_receipt(status, ""))]
    assert min(state.rank for state in states) == STATES["accepted"].rank


def test_every_state_has_words_a_tone_and_a_group_that_is_counted() -> None:
    for state in STATES.values():
        assert state.message
        assert state.tone in ("ok", "wait", "bad", "off")
        assert state.group in GROUPS
        assert state.final == (state.rank == 9)

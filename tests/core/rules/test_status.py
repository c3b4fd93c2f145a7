"""Delivery states only move forward."""

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
def test_transition_raises_the_rank_of_an_open_state(current: str, to: str) -> None:
    if can_transition(current, to):
        assert STATES[to].rank > STATES[current].rank
        assert not STATES[current].final
    assert not (can_transition(current, to) and can_transition(to, current))


@given(st.lists(NAMES, max_size=12))
def test_first_final_state_is_kept(events: list[str]) -> None:
    current, first_final = "ready", None
    for event in events:
        current = event if can_transition(current, event) else current
        if STATES[event].final:
            first_final = first_final or event
    if first_final:
        assert current == first_final


@pytest.mark.parametrize("final", [name for name in STATES if STATES[name].final])
def test_final_state_never_changes(final: str) -> None:
    assert not any(can_transition(final, to) for to in STATES)
    assert final not in OPEN
    assert final not in states_before("delivered")


@pytest.mark.parametrize("name", OPEN)
def test_open_state_can_still_become_delivered_or_failed(name: str) -> None:
    assert can_transition(name, "delivered")
    assert can_transition(name, "failed")
    assert name in states_before("delivered")


def test_repeated_event_changes_nothing() -> None:
    assert not any(can_transition(name, name) for name in STATES)


def test_accepted_text_never_counts_as_unsent() -> None:
    assert UNSENT == ("ready", "deferred", "paused", "sending", "unknown")
    assert "accepted" in OPEN


@pytest.mark.parametrize("status", TWILIO_STATUSES)
def test_every_twilio_status_has_a_state(status: str) -> None:
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
def test_receipt_determines_the_state(status: str, code: str, state: str | None) -> None:
    assert state_for_receipt(status, code) == state


def test_receipt_never_moves_a_delivery_back_before_acceptance() -> None:
    states = [STATES[state] for status in TWILIO_STATUSES if (state := state_for_receipt(status, ""))]
    assert min(state.rank for state in states) == STATES["accepted"].rank


def test_every_state_has_a_label_a_tone_and_a_group() -> None:
    for state in STATES.values():
        assert state.label
        assert state.tone in ("ok", "wait", "bad", "off")
        assert state.group in GROUPS
        assert state.final == (state.rank == 9)

"""Random runs of the delivery state rules, without the database (tests/delivery/test_delivery_state_machine.py)."""

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import invariant, rule

from portal.core.rules.delivery_status import (
    OPEN,
    STATES,
    UNSENT,
    WAITING,
    can_transition,
    state_for_receipt,
    states_before,
)
from portal.messages.rules.report_conflicts import ReportConflict, find_conflict
from tests.support import soak_testing

STATUSES = ("queued", "sending", "sent", "delivered", "read", "undelivered", "failed", "canceled", "receiving")
RECEIPTS = st.tuples(
    st.sampled_from(STATUSES), st.sampled_from(["", "30003", "21610"]), st.sampled_from(["SM1", "SM2"])
)
FINAL_STATES_SET_BY_PORTAL = ("rejected", "skipped", "expired")


class DeliveryRulesMachine(soak_testing.CountedStateMachine):
    """Every transition obeys `can_transition`; before acceptance, the portal may move a delivery back and forth."""

    def __init__(self) -> None:
        super().__init__()
        self.state = "ready"
        self.provider_id: str | None = None
        self.states: list[str] = ["ready"]
        self.receipts: list[tuple[str, str, str]] = []
        self.conflicts: list[ReportConflict] = []

    def enter(self, state: str) -> None:
        self.state = state
        self.states.append(state)

    @rule(to=st.sampled_from((*WAITING, "sending", "canceled", *FINAL_STATES_SET_BY_PORTAL)))
    def change_before_acceptance(self, to: str) -> None:
        """A claim, a pause, quiet hours, a cancelled send, a rejection, a STOP, or proof that it was never accepted."""
        if self.state in UNSENT:
            self.enter(to)

    @rule()
    def lose_response(self) -> None:
        if self.state == "sending":
            self.enter("unknown")

    @rule(receipt=RECEIPTS)
    def receive_receipt(self, receipt: tuple[str, str, str]) -> None:
        self.receipts.append(receipt)
        self.apply(receipt)

    @rule(data=st.data())
    def receive_receipt_again(self, data: st.DataObject) -> None:
        if self.receipts:
            before = self.state
            self.apply(data.draw(st.sampled_from(self.receipts)))
            assert STATES[before].rank <= STATES[self.state].rank

    def apply(self, receipt: tuple[str, str, str]) -> None:
        status, code, provider_id = receipt
        to = state_for_receipt(status, code)
        if to and can_transition(self.state, to):
            self.enter(to)
            self.provider_id = provider_id
        elif conflict := find_conflict(self.state, self.provider_id, to or "", provider_id):
            self.conflicts.append(conflict)

    @invariant()
    def rank_only_rises_after_acceptance(self) -> None:
        ranks = [STATES[state].rank for state in self.states]
        accepted = next((index for index, state in enumerate(self.states) if state not in UNSENT), len(ranks))
        assert ranks[accepted:] == sorted(set(ranks[accepted:]))

    @invariant()
    def nothing_follows_a_final_state(self) -> None:
        assert all(state in OPEN for state in self.states[:-1])

    @invariant()
    def states_before_agrees_with_can_transition(self) -> None:
        assert all((self.state in states_before(to)) == can_transition(self.state, to) for to in STATES)

    @invariant()
    def open_text_can_still_succeed_or_fail(self) -> None:
        can_end = can_transition(self.state, "delivered"), can_transition(self.state, "undelivered")
        assert can_end == (self.state in OPEN, self.state in OPEN)

    @invariant()
    def conflicting_outcomes_are_reported(self) -> None:
        reported = {state_for_receipt(status, code) for status, code, sid in self.receipts if sid == self.provider_id}
        both = "delivered" in reported and reported & {"undelivered", "failed", "opted_out", "canceled"}
        conflicts = [kind for kind in self.conflicts if kind is ReportConflict.CONFLICTING_OUTCOMES]
        assert bool(both) == bool(conflicts)


@pytest.mark.timeout(0)
def test_no_order_of_events_breaks_the_state_rules() -> None:
    soak_testing.run_lifecycles(DeliveryRulesMachine, runs=50, steps=30, label="rules only", time_share=0.1)

"""Random lives of one text by the rules of states alone; `tests/delivery/test_delivery_state_machine.py` drives the database."""

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
from portal.messages.rules.report_conflicts import ProviderReport, RecordedState, ReportConflict, find_conflict
from tests.support import soak_testing

STATUSES = ("queued", "sending", "sent", "delivered", "read", "undelivered", "failed", "canceled", "receiving")
RECEIPTS = st.tuples(
    st.sampled_from(STATUSES), st.sampled_from(["", "30003", "21610"]), st.sampled_from(["SM1", "SM2"])
)
ENDS_BY_OURSELVES = ("rejected", "skipped", "expired")


class DeliveryRulesMachine(soak_testing.CountedStateMachine):
    """Whoever moves it does so by `may_move`; what lies before acceptance goes to and fro."""

    def __init__(self) -> None:
        super().__init__()
        self.state, self.provider_id = "ready", None
        self.been: list[str] = ["ready"]
        self.heard: list[tuple[str, str, str]] = []
        self.contradictions: list[tuple[ReportConflict, ProviderReport]] = []

    def enter(self, state: str) -> None:
        self.state = state
        self.been.append(state)

    @rule(to=st.sampled_from((*WAITING, "sending", "canceled", *ENDS_BY_OURSELVES)))
    def goes_on_before_it_is_known_to_have_left(self, to: str) -> None:
        """A claim, a pause, quiet hours, a cancelled send, a refusal, a STOP, proof that it never arrived."""
        if self.state in UNSENT:
            self.enter(to)

    @rule()
    def its_answer_is_not_heard(self) -> None:
        if self.state == "sending":
            self.enter("unknown")

    @rule(receipt=RECEIPTS)
    def a_receipt_comes(self, receipt: tuple[str, str, str]) -> None:
        self.heard.append(receipt)
        self.apply(receipt)

    @rule(data=st.data())
    def a_receipt_comes_again(self, data: st.DataObject) -> None:
        if self.heard:
            before = self.state, self.provider_id
            self.apply(data.draw(st.sampled_from(self.heard)))
            assert STATES[before[0]].rank <= STATES[self.state].rank

    def apply(self, receipt: tuple[str, str, str]) -> None:
        status, code, provider_id = receipt
        to = state_for_receipt(status, code)
        if to and can_transition(self.state, to):
            self.enter(to)
            self.provider_id = provider_id
        elif found := find_conflict(RecordedState(self.state, self.provider_id), ProviderReport(to or "", provider_id)):
            self.contradictions.append((found, ProviderReport(to or "", provider_id)))

    @invariant()
    def no_rank_falls_once_it_is_known_to_have_left(self) -> None:
        ranks = [STATES[state].rank for state in self.been]
        after = next((place for place, state in enumerate(self.been) if state not in UNSENT), len(ranks))
        assert ranks[after:] == sorted(set(ranks[after:]))

    @invariant()
    def nothing_follows_an_end(self) -> None:
        assert all(state in OPEN for state in self.been[:-1])

    @invariant()
    def what_may_be_entered_is_the_same_asked_from_either_side(self) -> None:
        assert all((self.state in states_before(to)) == can_transition(self.state, to) for to in STATES)

    @invariant()
    def an_open_text_can_still_end_either_way(self) -> None:
        ends = can_transition(self.state, "delivered"), can_transition(self.state, "undelivered")
        assert ends == (self.state in OPEN, self.state in OPEN)

    @invariant()
    def whoever_says_that_it_arrived_and_did_not_is_contradicted(self) -> None:
        told = {state_for_receipt(status, code) for status, code, sid in self.heard if sid == self.provider_id}
        both = "delivered" in told and told & {"undelivered", "failed", "opted_out", "canceled"}
        ended = [kind for kind, _told in self.contradictions if kind is ReportConflict.CONFLICTING_OUTCOMES]
        assert bool(both) == bool(ended)


@pytest.mark.timeout(0)
def test_no_order_of_events_takes_a_text_backwards_or_hides_a_contradiction() -> None:
    soak_testing.run_lifecycles(DeliveryRulesMachine, runs=50, steps=30, label="by the rules alone", time_share=0.1)

"""Random sequences of events against the real tables: claims, results, receipts, evidence, decisions and time.

An in-memory provider (`MemoryProvider`) knows what was accepted, and the database what the portal says about it.
"""

import contextlib
from dataclasses import dataclass
from typing import Any, ClassVar

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import initialize, invariant, precondition, rule
from sqlalchemy import delete, select

from portal.accounts.tables.phone_numbers import is_stopped
from portal.consent import account_import
from portal.core.audit_log import AuditEntry
from portal.core.context import settings
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.rules.delivery_status import STATES, displayed_state
from portal.core.transaction import transaction
from portal.delivery import maintenance, receipts, reconciliation, unresolved_deliveries
from portal.delivery.sms_attempt import ClaimedText, ReleasedText, SmsResult
from portal.delivery.sms_claim import record_and_claim
from portal.gateways import registry
from portal.gateways.outcomes import AccountFault, NotSent, Rejected, Unknown
from portal.messages.rules.report_conflicts import DUPLICATE_CONFLICTS, ReportConflict
from portal.messages.tables import transitions
from portal.messages.tables.communications import Attempt, Communication, Delivery, Receipt
from portal.messages.tables.delivery_totals import DeliveryTotal
from portal.sends import deferred_texts, send_control, send_creation
from portal.sends.fan_out import fan_out_send
from portal.sends.tables.sends import Send
from portal.settings.tables.sending_numbers import SendingNumber, resume_senders
from tests.support import inbound_helpers, scenario, soak_testing
from tests.support.databases.delivery_totals import assert_totals_equal_recount
from tests.support.delivery_invariants import assert_conflicts_reported, is_allowed_transition
from tests.support.fakes.memory_provider import MemoryProvider

RECIPIENTS = 2
DAY_MS = 86_400_000
OUTCOMES_WITHOUT_MESSAGE = {"rejected": Rejected("21617", "Too long"), "stopped": Rejected("21610", "Replied STOP")} | {
    "slow down": NotSent("Slow down", 3, 429, "20429"),
    "no connection": NotSent("Nobody listens"),
    "wrong password": AccountFault("20003", "No"),
    "vanished": Unknown("No answer"),
}
"""Ways a call can end without creating a message, and the result that is returned."""
UNKNOWN_OUTCOMES = ["unheard", "killed after"]
CALL_OUTCOMES = ["accepted", "killed before", *UNKNOWN_OUTCOMES * 3, *OUTCOMES_WITHOUT_MESSAGE]
RECEIPT_STATUSES = [
    ("queued", ""),
    ("sent", ""),
    ("delivered", ""),
    ("undelivered", "30008"),
    ("failed", "30008"),
    ("failed", "21610"),
]


@dataclass
class SharedEnvironment:
    """Shared by all runs. Each run has accounts of its own, so that none depends on the one before."""

    provider: MemoryProvider
    now_ms: int
    phones: tuple[str, ...] = ()
    created_count: int = 0

    def advance_clock(self, ms: int) -> None:
        self.now_ms += ms
        self.provider.now_ms = self.now_ms

    def clear(self) -> None:
        scenario.forget_audit_entries()
        with transaction() as session:
            for table in (Receipt, Attempt, Delivery, DeliveryTotal, Communication, Send, SendingNumber):
                session.execute(delete(table))
        self.provider.messages.clear()
        self.advance_clock(3 * DAY_MS)

    def create_accounts(self) -> list[str]:
        """External ids of new accounts, all enabled for texts."""
        indexes = range(self.created_count, self.created_count + RECIPIENTS)
        self.created_count += RECIPIENTS
        self.phones = tuple(f"+1415{2_000_000 + index}" for index in indexes)
        rows = [
            f"L-{index},Somebody,l{index}@example.org,Practitioner,user,UTC,{phone},2026-01-02,form"
            for index, phone in zip(indexes, self.phones, strict=True)
        ]
        account_import.import_accounts("\n".join([scenario.ACCOUNT_CSV_HEADER, *rows]).encode(), self.now_ms)
        return [f"L-{index}" for index in indexes]


class DeliveryStateMachine(soak_testing.CountedStateMachine):
    environment: ClassVar[SharedEnvironment]

    def __init__(self) -> None:
        super().__init__()
        self.provider = self.environment.provider
        self.environment.clear()
        audience = {"external_ids": self.environment.create_accounts()}
        self.send_id = send_creation.create_send("renewal", audience, {}, None, self.environment.now_ms)
        fan_out_send(self.send_id, self.clock)
        self.claimed: list[ClaimedText] = []
        self.results: list[SmsResult] = []
        self.delivery_ids: dict[str, int] = {}
        self.last_states: dict[int, str] = {}
        self.possible_duplicates: set[int] = set()

    def clock(self) -> int:
        return self.environment.now_ms

    def record_and_claim_once(self, *results: SmsResult, capacity: int = 0) -> tuple[ClaimedText, ...]:
        return record_and_claim(results, capacity, lambda: self.clock() * 1000).claimed

    @initialize(
        outcomes=st.tuples(*[st.sampled_from(CALL_OUTCOMES)] * RECIPIENTS),
        recorded=st.booleans(),
        scheduled=st.booleans(),
    )
    def first_texts_are_sent(self, outcomes: tuple[str, ...], recorded: bool, scheduled: bool) -> None:
        """Without this, most runs would not get that far."""
        self.worker_claims()
        for outcome in outcomes:
            self.call(self.claimed.pop(0), outcome)
        if recorded:
            self.record_and_claim_once(*self.results)
            self.results.clear()
        if scheduled:
            self.scheduler_runs()

    @rule(seconds=st.sampled_from([1, 3, 10, 60, 900, 90_000]))
    def time_passes(self, seconds: int) -> None:
        self.environment.advance_clock(seconds * 1000)

    @rule()
    def worker_claims(self) -> None:
        for claimed in self.record_and_claim_once(capacity=10):
            assert not is_stopped(claimed.attempt.destination), "no text is claimed after a STOP (I3)"
            self.claimed.append(claimed)
            self.delivery_ids[claimed.attempt.id] = claimed.attempt.delivery_id
        db.session.rollback()

    @rule(call_outcome=st.sampled_from(CALL_OUTCOMES))
    def worker_drains(self, call_outcome: str) -> None:
        """Everything at once, without other events in between."""
        self.worker_claims()
        while self.claimed:
            self.call(self.claimed.pop(0), call_outcome)
        self.record_and_claim_once(*self.results)
        self.results.clear()

    @precondition(lambda self: self.claimed)
    @rule(data=st.data(), call_outcome=st.sampled_from(CALL_OUTCOMES))
    def worker_calls(self, data: st.DataObject, call_outcome: str) -> None:
        claimed = data.draw(st.sampled_from(self.claimed))
        self.claimed.remove(claimed)
        self.call(claimed, call_outcome)

    def call(self, claimed: ClaimedText, call_outcome: str) -> None:
        """Not if the lease is about to end: a worker checks that before the call."""
        if self.clock() > claimed.attempt.lease_until_ms - settings().sms_timeout_seconds * 1000:
            self.results.append(self.result(claimed, ReleasedText()))
        elif call_outcome in OUTCOMES_WITHOUT_MESSAGE:
            self.results.append(self.result(claimed, OUTCOMES_WITHOUT_MESSAGE[call_outcome]))
        elif call_outcome != "killed before":
            outcome = self.provider.submit_message(claimed.credentials, claimed.sender, claimed.text)
            if call_outcome != "killed after":
                self.results.append(
                    self.result(claimed, outcome if call_outcome == "accepted" else Unknown("No answer"))
                )

    @staticmethod
    def result(claimed: ClaimedText, outcome: Any) -> SmsResult:
        return SmsResult(claimed, outcome)

    @precondition(lambda self: self.results)
    @rule(data=st.data(), repeated=st.booleans())
    def result_is_recorded(self, data: st.DataObject, repeated: bool) -> None:
        result = data.draw(st.sampled_from(self.results))
        self.record_and_claim_once(result)
        if not repeated:
            self.results.remove(result)

    @precondition(lambda self: self.provider.messages)
    @rule(data=st.data(), receipt=st.sampled_from(RECEIPT_STATUSES), with_attempt_id=st.booleans())
    def receipt_arrives(self, data: st.DataObject, receipt: tuple[str, str], with_attempt_id: bool) -> None:
        message = data.draw(st.sampled_from(self.provider.messages))
        message.status, message.code = receipt
        self.receive_receipt(message.provider_id, message.attempt_id if with_attempt_id else "", *receipt)

    @precondition(lambda self: self.delivery_ids)
    @rule(data=st.data(), receipt=st.sampled_from(RECEIPT_STATUSES))
    def receipt_for_an_unknown_message_arrives(self, data: st.DataObject, receipt: tuple[str, str]) -> None:
        attempt_id = data.draw(st.sampled_from(list(self.delivery_ids)))
        self.receive_receipt(f"ghost-{attempt_id}", attempt_id, *receipt)

    def receive_receipt(self, provider_id: str, attempt_id: str, status: str, code: str) -> None:
        form = {"MessageSid": provider_id, "MessageStatus": status} | ({"ErrorCode": code} if code else {})
        receipts.record_receipt(form, attempt_id, self.clock())

    @precondition(lambda self: self.provider.messages)
    @rule(data=st.data(), listed=st.booleans())
    def listing_changes(self, data: st.DataObject, listed: bool) -> None:
        data.draw(st.sampled_from(self.provider.messages)).listed = listed

    @rule()
    def scheduler_runs(self) -> None:
        """If the list hides a message for longer than the settle window, a duplicate is possible and known."""
        since_ms = self.clock() - settings().sms_unknown_seconds * 1000
        hidden = [message for message in self.provider.messages if not message.listed and message.at_ms < since_ms]
        self.possible_duplicates |= {self.delivery_ids[message.attempt_id] for message in hidden}
        maintenance.expire_stale_leases(self.clock())
        send_control.apply_all_pending(self.clock)
        receipts.apply_orphaned_receipts(self.clock())
        reconciliation.reconcile_unknown_texts(self.clock)
        reconciliation.fetch_missing_receipts(self.clock)
        db.session.remove()

    @rule(index=st.integers(0, RECIPIENTS - 1), word=st.sampled_from(["STOP", "START"]))
    def recipient_replies(self, index: int, word: str) -> None:
        self.environment.advance_clock(1000)
        inbound_helpers.receive_text(word, self.environment.phones[index], self.clock())

    @rule(action=st.sampled_from([send_control.pause_send, send_control.resume_send, send_control.cancel_send]))
    def send_is_controlled(self, action: Any) -> None:
        with contextlib.suppress(ActionRefused):
            action(self.send_id, None, self.clock())

    @rule()
    def quiet_hours_begin(self) -> None:
        with transaction():
            ids = [delivery_id for delivery_id, *_place in transitions.next_bulk_texts(10, self.clock())]
            transitions.defer(ids, self.clock() + DAY_MS // 3, self.clock())

    @rule()
    def quiet_hours_end(self) -> None:
        deferred_texts.release_deferred(self.clock)

    @rule()
    def sending_number_is_resumed(self) -> None:
        with transaction():
            resume_senders(self.clock())

    @rule(decision=st.sampled_from(sorted(unresolved_deliveries.CONFIRMATION_WORDS)))
    def administrator_decides(self, decision: str) -> None:
        for text in unresolved_deliveries.list_unresolved_texts(1):
            if text.can_be_resolved(self.clock()):
                self.possible_duplicates |= {text.delivery.id} if decision == unresolved_deliveries.RESEND else set()
                word = unresolved_deliveries.CONFIRMATION_WORDS[decision]
                unresolved_deliveries.resolve_manually(
                    text.delivery.id, decision, word, text.attempt_id, None, self.clock()
                )

    @invariant()
    def no_unexplained_duplicates(self) -> None:
        """I2."""
        delivery_ids = [self.delivery_ids[message.attempt_id] for message in self.provider.messages]
        assert {id for id in delivery_ids if delivery_ids.count(id) > 1} <= self.possible_duplicates

    @invariant()
    def record_is_consistent(self) -> None:
        entries = self.conflict_entries()
        conflicts = [(row.subject, row.action, tuple(row.detail["ids"])) for row in entries]
        assert len(conflicts) == len(set(conflicts)), "each conflict is reported once"
        assert all(len(ids) > 1 for _, kind, ids in conflicts if kind in DUPLICATE_CONFLICTS)
        for text in scenario.deliveries("sms"):
            before = self.last_states.get(text.id, text.state)
            assert is_allowed_transition(before, text.state), (before, text.state)
            self.last_states[text.id] = text.state
            assert_conflicts_reported(text, {kind for subject, kind, _ in conflicts if subject == f"text {text.id}"})
        db.session.rollback()

    @invariant()
    def totals_equal_a_recount(self) -> None:
        assert_totals_equal_recount()

    def conflict_entries(self) -> list[AuditEntry]:
        return list(db.session.scalars(select(AuditEntry).where(AuditEntry.action.in_(list(ReportConflict)))))

    def teardown(self) -> None:
        """Once everything works again and time passes, each text ends, or waits where somebody sees it (I5)."""
        for message in self.provider.messages:
            message.listed = True
        with contextlib.suppress(ActionRefused):
            send_control.resume_send(self.send_id, None, self.clock())
        for wait_ms in (600_000, 2 * DAY_MS):
            self.environment.advance_clock(wait_ms)
            self.sending_number_is_resumed()
            self.quiet_hours_end()
            self.scheduler_runs()
            for claimed in self.record_and_claim_once(capacity=10):
                self.delivery_ids[claimed.attempt.id] = claimed.attempt.delivery_id
                self.call(claimed, "accepted")
                self.record_and_claim_once(self.results.pop())
        self.environment.advance_clock(2 * DAY_MS)
        self.scheduler_runs()
        self.no_unexplained_duplicates()
        self.record_is_consistent()
        for text in scenario.deliveries("sms"):
            assert STATES[text.state].final or displayed_state(text.state, text.due_at_ms) == "no_receipt", text.state


@pytest.mark.timeout(0)
@pytest.mark.usefixtures("app")
def test_no_order_of_events_loses_or_silently_duplicates_a_text(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = database_url.partition(":")[0].partition("+")[0]
    provider = MemoryProvider()
    monkeypatch.setitem(registry.PROVIDERS, "Twilio", provider.provider())
    scenario.configure_gateway()
    scenario.add_template()
    DeliveryStateMachine.environment = SharedEnvironment(provider, scenario.now_ms())
    soak_testing.run_lifecycles(
        DeliveryStateMachine, runs=3 if engine == "postgresql" else 12, steps=30, label=f"on {engine}", time_share=0.45
    )

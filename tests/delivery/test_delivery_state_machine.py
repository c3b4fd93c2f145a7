"""Random lives of texts against the real tables: claims, answers, receipts, evidence, people and time in any order.

What the carrier took is judged by a carrier in memory (`post_office`), what the portal says of it by the database.
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
from portal.core.errors import ActionRefused as NotNow
from portal.core.extensions import db
from portal.core.rules.delivery_status import STATES, displayed_state
from portal.core.transaction import transaction
from portal.delivery import maintenance, receipts, reconciliation, unresolved_deliveries
from portal.delivery.sms_claim import ClaimedText, record_and_claim
from portal.delivery.sms_results import ReleasedText, SmsResult
from portal.gateways import registry
from portal.gateways.outcomes import AccountFault, NotSent, Rejected, Unknown
from portal.gateways.provider import OutgoingText
from portal.messages.rules.report_conflicts import DUPLICATE_CONFLICTS, ReportConflict
from portal.messages.tables import transitions
from portal.messages.tables.communications import Attempt, Communication, Delivery, Receipt
from portal.sends import deferred_texts, send_control, send_creation
from portal.sends.fan_out import fan_out_send
from portal.sends.tables.sends import Send
from portal.settings.tables.sending_numbers import SendingNumber, resume_senders
from tests.support import inbound_helpers, scenario, soak_testing
from tests.support.delivery_invariants import assert_conflicts_reported, is_allowed_transition
from tests.support.fakes.memory_provider import MemoryProvider

PEOPLE = 2
DAY_MS = 86_400_000
OUTCOMES_WITHOUT_MESSAGE = {"rejected": Rejected("21617", "Too long"), "stopped": Rejected("21610", "Replied STOP")} | {
    "slow down": NotSent("Slow down", 3, 429, "20429"),
    "no connection": NotSent("Nobody listens"),
    "wrong password": AccountFault("20003", "No"),
    "vanished": Unknown("No answer"),
}
"""Ways a call can end without a message, and what is heard of it."""
UNKNOWN_OUTCOMES = ["unheard", "killed after"]
CALL_OUTCOMES = ["taken", "killed before", *UNKNOWN_OUTCOMES * 3, *OUTCOMES_WITHOUT_MESSAGE]
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
    """What all lives share. Each is of people of its own, so that none depends on the one before it."""

    office: MemoryProvider
    now_ms: int
    numbers: tuple[str, ...] = ()
    born: int = 0

    def wait(self, ms: int) -> None:
        self.now_ms += ms
        self.office.now_ms = self.now_ms

    def clear(self) -> None:
        with transaction() as session:
            for table in (Receipt, Attempt, Delivery, Communication, Send, AuditEntry, SendingNumber):
                session.execute(delete(table))
        self.office.letters.clear()
        self.wait(3 * DAY_MS)

    def people(self) -> list[str]:
        """Account numbers of new people, each with SMS."""
        places = range(self.born, self.born + PEOPLE)
        self.born += PEOPLE
        self.numbers = tuple(f"+1415{2_000_000 + place}" for place in places)
        rows = [
            f"L-{place},Somebody,l{place}@example.org,Practitioner,user,UTC,{number},2026-01-02,form"
            for place, number in zip(places, self.numbers, strict=True)
        ]
        account_import.import_accounts("\n".join([scenario.ACCOUNT_CSV_HEADER, *rows]).encode(), self.now_ms)
        return [f"L-{place}" for place in places]


class DeliveryStateMachine(soak_testing.CountedStateMachine):
    stage: ClassVar[SharedEnvironment]

    def __init__(self) -> None:
        super().__init__()
        self.office = self.stage.office
        self.stage.clear()
        audience = {"external_ids": self.stage.people()}
        self.send_id = send_creation.create_send("renewal", audience, {}, None, self.stage.now_ms)
        fan_out_send(self.send_id, self.clock)
        self.claimed: list[ClaimedText] = []
        self.answers: list[SmsResult] = []
        self.delivery_of: dict[str, int] = {}
        self.stood: dict[int, str] = {}
        self.may_be_twice: set[int] = set()

    def clock(self) -> int:
        return self.stage.now_ms

    def cycle(self, *results: SmsResult, capacity: int = 0) -> tuple[ClaimedText, ...]:
        return record_and_claim(results, capacity, lambda: self.clock() * 1000).claimed

    @initialize(endings=st.tuples(*[st.sampled_from(CALL_OUTCOMES)] * PEOPLE), heard=st.booleans(), swept=st.booleans())
    def the_first_texts_leave(self, endings: tuple[str, ...], heard: bool, swept: bool) -> None:
        """Or else most lives would never come that far."""
        self.a_worker_claims()
        for ending in endings:
            self.call(self.claimed.pop(0), ending)
        if heard:
            self.cycle(*self.answers)
            self.answers.clear()
        if swept:
            self.the_scheduler_sweeps()

    @rule(seconds=st.sampled_from([1, 3, 10, 60, 900, 90_000]))
    def time_passes(self, seconds: int) -> None:
        self.stage.wait(seconds * 1000)

    @rule()
    def a_worker_claims(self) -> None:
        for claimed in self.cycle(capacity=10):
            assert not is_stopped(claimed.sent_to), "no text is claimed after a STOP (I3)"
            self.claimed.append(claimed)
            self.delivery_of[claimed.attempt_id] = claimed.delivery_id
        db.session.rollback()

    @rule(ending=st.sampled_from(CALL_OUTCOMES))
    def a_worker_works(self, ending: str) -> None:
        """All that is to be done, and nothing comes between."""
        self.a_worker_claims()
        while self.claimed:
            self.call(self.claimed.pop(0), ending)
        self.cycle(*self.answers)
        self.answers.clear()

    @precondition(lambda self: self.claimed)
    @rule(data=st.data(), ending=st.sampled_from(CALL_OUTCOMES))
    def a_worker_calls(self, data: st.DataObject, ending: str) -> None:
        claimed = data.draw(st.sampled_from(self.claimed))
        self.claimed.remove(claimed)
        self.call(claimed, ending)

    def call(self, claimed: ClaimedText, ending: str) -> None:
        """Not when its lease is about to end: a worker looks at it before the call."""
        if self.clock() > claimed.lease_until_ms - settings().sms_timeout_seconds * 1000:
            self.answers.append(self.result(claimed, ReleasedText()))
        elif ending in OUTCOMES_WITHOUT_MESSAGE:
            self.answers.append(self.result(claimed, OUTCOMES_WITHOUT_MESSAGE[ending]))
        elif ending != "killed before":
            text = OutgoingText(claimed.sent_to, claimed.body, claimed.attempt_id, claimed.validity_seconds)
            outcome = self.office.create(claimed.credentials, claimed.sender, text)
            if ending != "killed after":
                self.answers.append(self.result(claimed, outcome if ending == "taken" else Unknown("No answer")))

    @staticmethod
    def result(claimed: ClaimedText, outcome: Any) -> SmsResult:
        seen = (claimed.attempt_id, claimed.delivery_id, claimed.mode, claimed.sender.sender_key)
        return SmsResult(*seen, outcome, claimed.kind)

    @precondition(lambda self: self.answers)
    @rule(data=st.data(), and_again=st.booleans())
    def an_answer_is_recorded(self, data: st.DataObject, and_again: bool) -> None:
        answer = data.draw(st.sampled_from(self.answers))
        self.cycle(answer)
        if not and_again:
            self.answers.remove(answer)

    @precondition(lambda self: self.office.letters)
    @rule(data=st.data(), told=st.sampled_from(RECEIPT_STATUSES), named=st.booleans())
    def a_receipt_comes(self, data: st.DataObject, told: tuple[str, str], named: bool) -> None:
        letter = data.draw(st.sampled_from(self.office.letters))
        letter.status, letter.code = told
        self.tell(letter.provider_id, letter.attempt_id if named else "", *told)

    @precondition(lambda self: self.delivery_of)
    @rule(data=st.data(), told=st.sampled_from(RECEIPT_STATUSES))
    def a_receipt_comes_for_a_message_that_nobody_took(self, data: st.DataObject, told: tuple[str, str]) -> None:
        attempt_id = data.draw(st.sampled_from(list(self.delivery_of)))
        self.tell(f"ghost-{attempt_id}", attempt_id, *told)

    def tell(self, provider_id: str, attempt_id: str, status: str, code: str) -> None:
        form = {"MessageSid": provider_id, "MessageStatus": status} | ({"ErrorCode": code} if code else {})
        receipts.record_receipt(form, attempt_id, self.clock())

    @precondition(lambda self: self.office.letters)
    @rule(data=st.data(), shows=st.booleans())
    def the_list_shows_a_message_or_not(self, data: st.DataObject, shows: bool) -> None:
        data.draw(st.sampled_from(self.office.letters)).listed = shows

    @rule()
    def the_scheduler_sweeps(self) -> None:
        """A list that hides what it has for longer than the settle window makes a second text: that is known."""
        since_ms = self.clock() - settings().sms_unknown_seconds * 1000
        hidden = [letter for letter in self.office.letters if not letter.listed and letter.at_ms < since_ms]
        self.may_be_twice |= {self.delivery_of[letter.attempt_id] for letter in hidden}
        maintenance.expire_stale_leases(self.clock())
        send_control.apply_all_pending(self.clock)
        receipts.apply_orphaned_receipts(self.clock())
        reconciliation.reconcile_unknown_texts(self.clock)
        reconciliation.fetch_missing_receipts(self.clock)
        db.session.remove()

    @rule(place=st.integers(0, PEOPLE - 1), word=st.sampled_from(["STOP", "START"]))
    def somebody_says(self, place: int, word: str) -> None:
        self.stage.wait(1000)
        inbound_helpers.receive_text(word, self.stage.numbers[place], self.clock())

    @rule(what=st.sampled_from([send_control.pause_send, send_control.resume_send, send_control.cancel_send]))
    def the_send_is_steered(self, what: Any) -> None:
        with contextlib.suppress(NotNow):
            what(self.send_id, None, self.clock())

    @rule()
    def night_falls(self) -> None:
        with transaction():
            transitions.defer("UTC", self.clock() + DAY_MS // 3, 10, self.clock())

    @rule()
    def the_morning_comes(self) -> None:
        deferred_texts.release_deferred(self.clock)

    @rule()
    def the_sending_number_is_mended(self) -> None:
        with transaction():
            resume_senders(self.clock())

    @rule(how=st.sampled_from(sorted(unresolved_deliveries.CONFIRMATION_WORDS)))
    def somebody_decides(self, how: str) -> None:
        for text in unresolved_deliveries.list_unresolved_texts(1):
            if text.can_be_resolved(self.clock()):
                self.may_be_twice |= {text.delivery.id} if how == unresolved_deliveries.RESEND else set()
                word = unresolved_deliveries.CONFIRMATION_WORDS[how]
                unresolved_deliveries.resolve_manually(text.delivery.id, how, word, text.attempt_id, None, self.clock())

    @invariant()
    def nobody_is_texted_twice_unless_it_is_known_why(self) -> None:
        """I2."""
        taken = [self.delivery_of[letter.attempt_id] for letter in self.office.letters]
        assert {id for id in taken if taken.count(id) > 1} <= self.may_be_twice

    @invariant()
    def what_is_written_down_is_sound(self) -> None:
        entries = self.contradictions()
        told = [(row.subject, row.action, tuple(row.detail["ids"])) for row in entries]
        assert len(told) == len(set(told)), "each contradiction is told once"
        assert all(len(ids) > 1 for _, kind, ids in told if kind in DUPLICATE_CONFLICTS)
        for text in scenario.deliveries("sms"):
            before = self.stood.get(text.id, text.state)
            assert is_allowed_transition(before, text.state), (before, text.state)
            self.stood[text.id] = text.state
            assert_conflicts_reported(text, {kind for subject, kind, _ in told if subject == f"text {text.id}"})
        db.session.rollback()

    def contradictions(self) -> list[AuditEntry]:
        return list(db.session.scalars(select(AuditEntry).where(AuditEntry.action.in_(list(ReportConflict)))))

    def teardown(self) -> None:
        """When everything works again and time passes, each text ends, or stands where somebody sees it (I5)."""
        for letter in self.office.letters:
            letter.listed = True
        with contextlib.suppress(NotNow):
            send_control.resume_send(self.send_id, None, self.clock())
        for wait_ms in (600_000, 2 * DAY_MS):
            self.stage.wait(wait_ms)
            self.the_sending_number_is_mended()
            self.the_morning_comes()
            self.the_scheduler_sweeps()
            for claimed in self.cycle(capacity=10):
                self.delivery_of[claimed.attempt_id] = claimed.delivery_id
                self.call(claimed, "taken")
                self.cycle(self.answers.pop())
        self.stage.wait(2 * DAY_MS)
        self.the_scheduler_sweeps()
        self.nobody_is_texted_twice_unless_it_is_known_why()
        self.what_is_written_down_is_sound()
        for text in scenario.deliveries("sms"):
            assert STATES[text.state].final or displayed_state(text.state, text.due_at_ms) == "no_receipt", text.state


@pytest.mark.timeout(0)
@pytest.mark.usefixtures("app")
def test_no_order_of_events_loses_a_text_or_sends_it_twice_unseen(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = database_url.partition(":")[0].partition("+")[0]
    office = MemoryProvider()
    monkeypatch.setitem(registry.PROVIDERS, "Twilio", office.provider())
    scenario.configure_gateway()
    scenario.add_template()
    DeliveryStateMachine.stage = SharedEnvironment(office, scenario.now_ms())
    soak_testing.run_lifecycles(
        DeliveryStateMachine, runs=3 if engine == "postgresql" else 12, steps=30, label=f"on {engine}", time_share=0.45
    )

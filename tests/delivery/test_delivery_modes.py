"""Override, test mode, mode changes, a wrong token and the feature switched off: what is sent, to whom, and how."""

import contextlib
import dataclasses
import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal.accounts.tables.phone_numbers import PhoneNumber
from portal.cli import send_commands as shell
from portal.consent.number_status import number_status
from portal.consent.tables.ledger import ConsentEvent
from portal.core.extensions import db
from portal.core.keyset import newest_first
from portal.core.rules.delivery_status import STATES, StateGroup
from portal.core.rules.phone import format_phone, mask_phone
from portal.core.rules.routing import SIMULATED_MODES, Mode
from portal.core.transaction import transaction
from portal.delivery import reconciliation
from portal.delivery.receipts import record_receipt
from portal.gateways.provider import MAX_IN_FLIGHT
from portal.gateways.rules.provider_codes import explain_error_code
from portal.gateways.rules.twilio_magic_numbers import RECIPIENT_NUMBERS
from portal.messages import timeline
from portal.messages.tables import delivery_counts, unresolved
from portal.messages.tables.communications import Attempt, Communication, Delivery
from portal.operations import test_messages
from portal.records.rules.search_line import SearchQuery
from portal.records.tables.communication_search import search_page
from portal.sends import progress
from portal.settings import setting_changes
from portal.settings.tables.sending_numbers import paused_senders
from tests.support import inbound_helpers, scenario, servers
from tests.support.magic_senders import MAGIC_SENDER_CODES

pytestmark = pytest.mark.usefixtures("app")

OVERRIDES = ("+14155550199", "+14155550188")
OVERRIDE = OVERRIDES[0]
INVITED, REPLIED, TRIED = scenario.phone_number(201), scenario.phone_number(202), "+14155550123"
TEST_FROM = "+15005550006"
DAYS_MS = 3 * 86_400_000
_SHORT_CODE = {
    "FromNumber": servers.FROM_NUMBER,
    "SegmentsPerSecond": 500,
    "NumberType": "short_code",
    "TwilioAnswers": [],
}


def set_switch(name: str, value: str) -> None:
    setting_changes.set_setting(name, value, None, scenario.now_ms())


def create_bulk_send(total: int, rate: float) -> None:
    """A send to this many recipients, ready to be sent."""
    scenario.configure_gateway(rate)
    scenario.create_accounts(total, with_sms=total)
    scenario.add_template()
    scenario.create_expanded_send()


def send_one_of_each_kind() -> Counter[str]:
    """Send 100 bulk texts, an invitation, a welcome and a test text; return the intended recipients."""
    now = scenario.now_ms()
    scenario.create_accounts(100, with_sms=100)
    scenario.add_template()
    scenario.create_expanded_send()
    (invited,) = inbound_helpers.create_sharing_accounts(INVITED, now, "INVITED")
    inbound_helpers.create_sharing_accounts(REPLIED, now, "REPLIED")
    inbound_helpers.invite(invited, INVITED, now)
    assert inbound_helpers.receive_text("START", REPLIED, now) is None
    test_messages.send_test_text(TRIED, "Is it there?", invited, now)
    scenario.run_sms_worker()
    return Counter([*map(scenario.phone_number, range(100)), INVITED, REPLIED, TRIED])


def creates(simulator: servers.SimulatorClient) -> list[dict[str, Any]]:
    """Every request to send that the simulator received."""
    return [call for call in simulator.get("/simulator/log")["log"] if call["kind"] == "create"]


def attempts() -> list[tuple[Attempt, Delivery]]:
    """Attempts at texts that reached the simulator."""
    db.session.remove()
    query = select(Attempt, Delivery).join(Delivery, Delivery.id == Attempt.delivery_id)
    query = query.where(Delivery.channel == "sms", Attempt.outcome != "released")
    return [(row[0], row[1]) for row in db.session.execute(query)]


def count(outcome: str | None = None) -> int:
    """Attempts with this outcome, or all."""
    query = select(func.count()).select_from(Attempt)
    total = db.session.scalar(query if outcome is None else query.where(Attempt.outcome == outcome))
    db.session.remove()
    return total or 0


def timeline_text(delivery: Delivery) -> str:
    """The whole timeline of a text."""
    return " ".join(f"{entry.label} {entry.detail}" for entry in timeline.timeline_entries(delivery))


@contextlib.contextmanager
def worker_thread(app: Flask, run: Callable[[], None]) -> Iterator[None]:
    """Run the worker beside the test until it ends; its exceptions fail the test."""
    raised: list[BaseException] = []

    def work() -> None:
        with app.app_context():
            try:
                run()
            except BaseException as error:
                raised.append(error)
            finally:
                db.session.remove()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        worker.join(60)
    assert not worker.is_alive()
    assert raised == []


@pytest.mark.one_engine
def test_override_receives_every_kind_of_text(
    simulator: servers.SimulatorClient,
) -> None:
    scenario.configure_gateway(rate=20, EnableSmsOverrideNumber="true", SmsOverrideNumber=OVERRIDE)
    recipients = send_one_of_each_kind()
    assert Counter(call["to"] for call in creates(simulator)) == {OVERRIDE: 103}
    assert Counter(text["to"] for text in simulator.accepted_texts()) == {OVERRIDE: 103}
    records = attempts()
    assert Counter(delivery.address for _, delivery in records) == recipients
    assert {(attempt.mode, attempt.destination) for attempt, _ in records} == {("override", OVERRIDE)}
    note = f"Override: it went to {mask_phone(OVERRIDE)} instead."
    assert all(note in timeline_text(delivery) for _, delivery in records)
    (test,) = test_messages.recent_test_texts(2)
    assert note in [step.message for step in test_messages.delivery_steps(test)]


def send_and_drain(total: int) -> int:
    """Send to this many new recipients, and drain the lane."""
    scenario.create_accounts(total, with_sms=total)
    scenario.add_template()
    send_id = scenario.create_expanded_send()
    scenario.run_sms_worker()
    return send_id


@pytest.mark.one_engine
def test_override_status_never_claims_delivery_to_the_recipient(simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway(rate=5, EnableSmsOverrideNumber="true", SmsOverrideNumber=OVERRIDE)
    send_and_drain(1)
    ((attempt, delivery),) = attempts()
    assert timeline.describe_state(delivery)[0] == "Override: accepted for delivery"
    recipient = format_phone(scenario.phone_number(0))
    note = f"It went to the override number {mask_phone(OVERRIDE)}. It was meant for {recipient}."
    assert timeline.redirect_note(delivery) == note
    record_receipt(
        {"MessageSid": attempt.provider_id or "", "MessageStatus": "delivered"}, attempt.id, scenario.now_ms()
    )
    (delivery,) = scenario.deliveries("sms")
    assert timeline.describe_state(delivery)[:2] == ("Override: delivered", "off")
    assert timeline.redirect_note(delivery) == note


def test_simulated_texts_are_counted_separately(
    simulator: servers.SimulatorClient,
) -> None:
    scenario.configure_gateway(rate=5, EnableSmsTestMode="true")
    send_id = send_and_drain(2)
    db.session.remove()
    report = progress.send_report(send_id, scenario.now_ms())
    assert report.groups["sms"] == {"simulated": 2}
    assert delivery_counts.group_counts_by_send([send_id])[send_id]["sms"] == {"simulated": 2}
    assert "Texts: 2 simulated" in shell._as_text(report)
    newest = newest_first(Communication.id, 9)
    listed = {
        group: len(search_page(SearchQuery(groups=(group,), channels=("sms",), send_ids=(send_id,)), newest, True).rows)
        for group in (StateGroup.SIMULATED, StateGroup.DELIVERED)
    }
    assert listed == {"simulated": 2, "delivered": 0}


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("number", "mode", "label"),
    [
        (INVITED, "EnableSmsTestMode", "Invitation simulated"),
        ("+15005550004", "EnableSmsTestMode", "Invitation simulated"),
        (INVITED, "EnableSmsOverrideNumber", "Invitation sent to the override number"),
    ],
)
def test_redirected_invitation_is_not_pending(
    number: str, mode: str, label: str, simulator: servers.SimulatorClient
) -> None:
    scenario.configure_gateway(rate=5, SmsOverrideNumber=OVERRIDE, **{mode: "true"})
    account_id = inbound_helpers.new_account("M-1")
    with transaction() as session:
        session.add(PhoneNumber(account_id=account_id, number=number, created_at_ms=0))
    inbound_helpers.invite(account_id, number, scenario.now_ms())
    scenario.run_sms_worker()
    phone = db.session.scalars(select(PhoneNumber)).one()
    state = number_status(phone, "us", scenario.now_ms())
    assert state.label == label
    assert format_phone(number) in state.detail
    assert "STOP" not in state.detail
    assert not state.pending
    if mode == "EnableSmsOverrideNumber":
        assert mask_phone(OVERRIDE) in state.detail


@pytest.mark.one_engine
@pytest.mark.parametrize("override", ["", OVERRIDE])
def test_test_mode_never_uses_live_credentials(simulator: servers.SimulatorClient, override: str) -> None:
    scenario.configure_gateway(rate=20, EnableSmsTestMode="true")
    if override:
        set_switch("SmsOverrideNumber", override)
        set_switch("EnableSmsOverrideNumber", "true")
    recipients = send_one_of_each_kind()
    records = attempts()
    assert Counter(delivery.address for _, delivery in records) == recipients
    assert Counter(call["to"] for call in creates(simulator)) == ({override: 103} if override else recipients)
    assert {delivery.state for _, delivery in records} == {"simulated"}
    assert all("Test mode: nothing was really sent." in timeline_text(delivery) for _, delivery in records)
    assert {timeline.describe_state(delivery)[0] for _, delivery in records} == {"Simulated: accepted"}
    assert_nothing_pending()
    assert_only_test_credentials(simulator)


@pytest.mark.one_engine
@pytest.mark.parametrize("sender", MAGIC_SENDER_CODES)
def test_test_mode_explains_each_magic_number(sender: str, simulator: servers.SimulatorClient) -> None:
    test_sender = {"FromNumber": sender, "SegmentsPerSecond": 10}
    scenario.configure_gateway(EnableSmsTestMode="true", TestSmsGatewaySettings=json.dumps(test_sender))
    scenario.add_template()
    insert_accounts_with_phones(list(RECIPIENT_NUMBERS))
    scenario.create_expanded_send()
    scenario.run_sms_worker()
    deliveries = {delivery.address: delivery for _, delivery in attempts()}
    assert deliveries.keys() == RECIPIENT_NUMBERS.keys()
    for number, meaning in RECIPIENT_NUMBERS.items():
        label, _tone, detail = timeline.describe_state(deliveries[number])
        code = MAGIC_SENDER_CODES[sender] or code_in(meaning)
        assert label == ("Simulated: rejected" if code else "Simulated: accepted")
        assert detail == (f"Simulated: {explain_error_code(code).sentence} (code {code})" if code else "")
    assert db.session.scalars(select(ConsentEvent)).all() == [], "a simulated STOP opts nobody out"
    assert paused_senders() == []
    assert_nothing_pending()
    set_switch("EnableSmsTestMode", "false")
    scenario.run_sms_worker(clock_ahead_ms=DAYS_MS)
    account_sids = {call["account_sid"] for call in simulator.get("/simulator/log")["log"]}
    assert account_sids == {servers.TEST_CREDENTIALS["AccountSid"]}, "simulated texts are never sent for real"


def code_in(meaning: str) -> str:
    """The error code that a magic number stands for; "" if it works."""
    return meaning.partition("code ")[2].rstrip(")")


def insert_accounts_with_phones(numbers: list[str]) -> None:
    """One account for each phone, enabled for texts."""
    ids = [inbound_helpers.new_account(f"M-{index}") for index in range(len(numbers))]
    with transaction() as session:
        for account_id, number in zip(ids, numbers, strict=True):
            session.add(PhoneNumber(account_id=account_id, number=number, receives_sms=True, created_at_ms=0))


def assert_nothing_pending() -> None:
    """No receipt is awaited, now or in days, and reconciliation finds nothing to ask."""
    assert all(STATES[delivery.state].final for _, delivery in attempts())
    assert list(unresolved.deliveries_awaiting_receipt(scenario.now_ms() + DAYS_MS, 10)) == []
    db.session.remove()
    reconciliation.reconcile_unknown_texts(lambda: scenario.now_ms() + DAYS_MS)
    reconciliation.fetch_missing_receipts(lambda: scenario.now_ms() + DAYS_MS)
    db.session.remove()


def assert_only_test_credentials(simulator: servers.SimulatorClient) -> None:
    assert {call["account_sid"] for call in simulator.get("/simulator/log")["log"]} == {
        servers.TEST_CREDENTIALS["AccountSid"]
    }
    assert {text["test"] for text in simulator.accepted_texts()} == {True}


@pytest.mark.one_engine
@pytest.mark.parametrize("name", ["EnableSmsTestMode", "EnableSmsOverrideNumber"])
def test_auto_replies_are_sent_only_in_live_mode(name: str) -> None:
    scenario.configure_gateway(SmsGatewaySettings=json.dumps(_SHORT_CODE), SmsOverrideNumber=OVERRIDE)
    assert inbound_helpers.receive_text("HELP", REPLIED, scenario.now_ms())
    assert inbound_helpers.receive_text("STOP", INVITED, scenario.now_ms())
    set_switch(name, "true")
    for keyword in ("HELP", "STOP", "START"):
        assert inbound_helpers.receive_text(keyword, TRIED, scenario.now_ms()) is None


@dataclasses.dataclass
class SettingsSnapshot:
    """The settings, and the period in which a claim may have used them."""

    mode: Mode
    override: str
    since_ms: int
    until_ms: int = 0

    def fits(self, attempt: Attempt, delivery: Delivery) -> bool:
        to = self.override if self.mode in (Mode.OVERRIDE, Mode.TEST_OVERRIDE) else delivery.address
        in_time = self.since_ms <= attempt.started_at_ms <= self.until_ms + 1_000
        return in_time and (attempt.mode, attempt.destination) == (self.mode.value, to)


class RandomSwitcher:
    """Changes one random setting after another, with a seed, and records each state."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._values = dict.fromkeys(("EnableSmsTestMode", "EnableSmsOverrideNumber"), "false")
        self._values |= {"EnableSmsNotifications": "true", "SmsOverrideNumber": OVERRIDE}
        set_switch("SmsOverrideNumber", OVERRIDE)
        self.snapshots = [self._snapshot(scenario.now_ms())]

    @property
    def is_off(self) -> bool:
        return self.snapshots[-1].mode is Mode.OFF

    def change(self) -> None:
        """“Off” is short: the next change ends it."""
        name = "EnableSmsNotifications" if self.is_off else self._random.choice(list(self._values))
        values = OVERRIDES if name == "SmsOverrideNumber" else ("false", "true")
        value = values[1 - values.index(self._values[name])]
        started_ms = scenario.now_ms()
        set_switch(name, value)
        self._values[name] = value
        self.snapshots[-1].until_ms = scenario.now_ms()
        self.snapshots.append(self._snapshot(started_ms))

    def _snapshot(self, since_ms: int) -> SettingsSnapshot:
        test, override = (self._values[name] == "true" for name in ("EnableSmsTestMode", "EnableSmsOverrideNumber"))
        mode = {
            (False, False): Mode.LIVE,
            (False, True): Mode.OVERRIDE,
            (True, False): Mode.TEST,
            (True, True): Mode.TEST_OVERRIDE,
        }[test, override]
        off = self._values["EnableSmsNotifications"] == "false"
        return SettingsSnapshot(Mode.OFF if off else mode, self._values["SmsOverrideNumber"], since_ms)


def drain_all() -> None:
    """Run the worker until nothing is waiting."""

    def is_empty() -> bool:
        scenario.run_sms_worker()
        return not scenario.count_states("sms").keys() & {"ready", "sending"}

    servers.wait_for(is_empty, "every text to leave", 60)


def _has_sent(texts: int) -> bool:
    return count() >= texts


def test_no_attempt_mixes_two_modes(app: Flask, simulator: servers.SimulatorClient) -> None:
    create_bulk_send(1_000, rate=500)
    switching = RandomSwitcher(seed=50)
    with worker_thread(app, drain_all):
        for turn in range(50):
            if not switching.is_off:
                servers.wait_for(partial(_has_sent, 18 * turn), "the send to go on")
            switching.change()
        if switching.is_off:
            switching.change()
    switching.snapshots[-1].until_ms = scenario.now_ms()
    records = attempts()
    for attempt, delivery in records:
        ours = (
            (servers.TEST_CREDENTIALS, TEST_FROM)
            if attempt.mode in SIMULATED_MODES
            else (servers.LIVE_CREDENTIALS, servers.FROM_NUMBER)
        )
        assert (attempt.account_sid, attempt.sender) == (ours[0]["AccountSid"], ours[1])
        assert any(snapshot.fits(attempt, delivery) for snapshot in switching.snapshots), attempt.mode
    assert {attempt.mode for attempt, _ in records} == {mode.value for mode in Mode} - {"off"}
    assert_simulator_log_matches(simulator, records, 1_000)


def assert_simulator_log_matches(
    simulator: servers.SimulatorClient, records: list[tuple[Attempt, Delivery]], total: int
) -> None:
    """Compare each request: account, sender, recipient and body; and each text is sent once."""
    calls = {call["sid"]: call for call in creates(simulator)}
    assert len(calls) == len(records) == len({delivery.id for _, delivery in records}) == total
    for attempt, delivery in records:
        call = calls[attempt.provider_id]
        request = (call["account_sid"], call["from"], call["to"], call["body"])
        assert request == (attempt.account_sid, attempt.sender, attempt.destination, delivery.body)
        assert f"/{attempt.account_sid}/" in call["path"]
        assert delivery.state == ("simulated" if attempt.mode in SIMULATED_MODES else "accepted")


def test_wrong_token_pauses_the_lane_without_losing_texts(app: Flask, simulator: servers.SimulatorClient) -> None:
    create_bulk_send(500, rate=200)
    with worker_thread(app, scenario.run_sms_worker):
        servers.wait_for(lambda: count("accepted") >= 100, "some texts to be sent")
        set_switch("SmsGatewayAuthentication", json.dumps({**servers.LIVE_CREDENTIALS, "AuthToken": "wrong"}))
        reason = servers.wait_for(pause_reasons, "the lane to be paused")
    assert "20003" in reason
    refused = [call for call in creates(simulator) if call["status"] == 401]
    assert 1 <= len(refused) <= MAX_IN_FLIGHT
    assert count("account_fault") == len(refused)
    sent_count = len(simulator.accepted_texts())
    assert scenario.count_states("sms") == {"accepted": sent_count, "ready": 500 - sent_count}
    assert {row.attempt_count for row in scenario.deliveries("sms") if row.state == "ready"} == {0}, "no attempt counts"
    scenario.run_sms_worker()
    assert len(creates(simulator)) == sent_count + len(refused), "a paused lane sends nothing"
    set_switch("SmsGatewayAuthentication", json.dumps(servers.LIVE_CREDENTIALS))
    assert pause_reasons() == ""
    drain_all()
    assert scenario.count_states("sms") == {"accepted": 500}
    assert Counter(text["to"] for text in simulator.accepted_texts()) == {
        scenario.phone_number(n): 1 for n in range(500)
    }


def pause_reasons() -> str:
    """Why the lane is paused."""
    reasons = [sender.paused_reason for sender in paused_senders()]
    db.session.remove()
    return "; ".join(reasons)


def test_switching_the_feature_off_interrupts_a_send(app: Flask, simulator: servers.SimulatorClient) -> None:
    create_bulk_send(300, rate=200)
    with worker_thread(app, scenario.run_sms_worker):
        servers.wait_for(lambda: count("accepted") >= 60, "some texts to be sent")
        set_switch("EnableSmsNotifications", "false")
        off_ms = scenario.now_ms()
    sent_count = len(simulator.accepted_texts())
    assert sent_count < 300
    assert all(call["at_ms"] <= off_ms + 1_000 for call in creates(simulator))
    scenario.run_sms_worker()
    assert len(creates(simulator)) == sent_count
    assert scenario.count_states("sms") == {"accepted": sent_count, "ready": 300 - sent_count}
    assert inbound_helpers.count_rows(Communication) == 300
    set_switch("EnableSmsNotifications", "true")
    drain_all()
    assert scenario.count_states("sms") == {"accepted": 300}
    assert Counter(text["to"] for text in simulator.accepted_texts()) == {
        scenario.phone_number(n): 1 for n in range(300)
    }

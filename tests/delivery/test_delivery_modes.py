"""Override, test mode, changes of mode, a wrong token, the feature off: what leaves, for whom, and by what."""

import contextlib
import dataclasses
import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from portal.accounts.tables.phone_numbers import PhoneNumber
from portal.cli import send_commands as shell
from portal.consent.number_status import number_status
from portal.consent.tables.ledger import ConsentEvent
from portal.core.extensions import db
from portal.core.rules.delivery_status import STATES
from portal.core.rules.phone import format_phone, mask_phone
from portal.core.rules.routing import SIMULATED_MODES, Mode
from portal.core.transaction import transaction
from portal.delivery import reconciliation
from portal.delivery.receipts import record_receipt
from portal.gateways.provider import MAX_IN_FLIGHT
from portal.gateways.rules.magic_numbers import RECIPIENT_NUMBERS, SENDING_NUMBERS
from portal.gateways.rules.provider_codes import explain_error_code
from portal.messages import timeline
from portal.messages.tables import communication_history, unresolved
from portal.messages.tables import delivery_counts as progress_model
from portal.messages.tables.communications import Attempt, Communication, Delivery
from portal.operations import test_messages
from portal.sends import progress
from portal.settings import app_settings
from portal.settings.tables.sending_numbers import paused_senders
from tests.support import inbound_helpers, scenario, servers

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
    app_settings.set_setting(name, value, None, scenario.now_ms())


def create_bulk_send(total: int, rate: float) -> None:
    """A send to that many people, ready to leave."""
    scenario.configure_gateway(rate)
    scenario.create_accounts(total, with_sms=total)
    scenario.add_template()
    scenario.create_expanded_send()


def send_one_of_each_kind() -> Counter[str]:
    """A bulk of 100, an invitation, a welcome after START and a test text leave; whom they are meant for."""
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
    """Every time that the simulator was asked to send."""
    return [call for call in simulator.get("/simulator/log")["log"] if call["kind"] == "create"]


def attempts() -> list[tuple[Attempt, Delivery]]:
    """Of texts, those in which the simulator was asked: what missed its slot took another one."""
    db.session.remove()
    query = select(Attempt, Delivery).join(Delivery, Delivery.id == Attempt.delivery_id)
    query = query.where(Delivery.channel == "sms", Attempt.outcome != "released")
    return [(row[0], row[1]) for row in db.session.execute(query)]


def count(outcome: str | None = None) -> int:
    """Of the attempts, all or those that ended so."""
    query = select(func.count()).select_from(Attempt)
    found = db.session.scalar(query if outcome is None else query.where(Attempt.outcome == outcome))
    db.session.remove()
    return found or 0


def timeline_text(delivery: Delivery) -> str:
    """All that the history of a text says."""
    return " ".join(f"{entry.message} {entry.detail}" for entry in timeline.timeline_entries(delivery))


@contextlib.contextmanager
def worker_thread(app: Flask, run: Callable[[], None]) -> Iterator[None]:
    """The lane's worker beside the test, until it ends by itself; what it raised is raised here."""
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
def test_with_the_override_on_every_kind_of_text_arrives_there_and_history_says_whom_it_was_for(
    simulator: servers.SimulatorClient,
) -> None:
    scenario.configure_gateway(rate=20, EnableSmsOverrideNumber="true", SmsOverrideNumber=OVERRIDE)
    meant = send_one_of_each_kind()
    assert Counter(call["to"] for call in creates(simulator)) == {OVERRIDE: 103}
    assert Counter(text["to"] for text in simulator.accepted_texts()) == {OVERRIDE: 103}
    made = attempts()
    assert Counter(delivery.address for _, delivery in made) == meant
    assert {(attempt.mode, attempt.destination) for attempt, _ in made} == {("override", OVERRIDE)}
    words = f"Override: it went to {mask_phone(OVERRIDE)} instead."
    assert all(words in timeline_text(delivery) for _, delivery in made)
    (test,) = test_messages.recent_test_texts(2)
    assert words in [step.message for step in test_messages.delivery_steps(test)]


def send_and_drain(total: int) -> int:
    """To that many people and nobody else; it has left."""
    scenario.create_accounts(total, with_sms=total)
    scenario.add_template()
    send_id = scenario.create_expanded_send()
    scenario.run_sms_worker()
    return send_id


@pytest.mark.one_engine
def test_under_the_override_no_status_says_that_the_person_got_it(simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway(rate=5, EnableSmsOverrideNumber="true", SmsOverrideNumber=OVERRIDE)
    send_and_drain(1)
    ((attempt, delivery),) = attempts()
    assert timeline.describe_state(delivery)[0] == "Override: accepted for delivery"
    where = f"It went to the override phone_number {mask_phone(OVERRIDE)}. It was meant for {format_phone(scenario.phone_number(0))}."
    assert timeline.redirect_note(delivery) == where
    record_receipt(
        {"MessageSid": attempt.provider_id or "", "MessageStatus": "delivered"}, attempt.id, scenario.now_ms()
    )
    (delivery,) = scenario.deliveries("sms")
    assert timeline.describe_state(delivery)[:2] == ("Override: delivered", "off")
    assert timeline.redirect_note(delivery) == where


def test_simulated_texts_are_counted_apart_on_pages_in_lists_and_in_the_shell(
    simulator: servers.SimulatorClient,
) -> None:
    scenario.configure_gateway(rate=5, EnableSmsTestMode="true")
    send_id = send_and_drain(2)
    db.session.remove()
    found = progress.send_report(send_id, scenario.now_ms())
    assert found.groups["sms"] == {"simulated": 2}
    assert progress_model.group_counts_by_send([send_id])[send_id]["sms"] == {"simulated": 2}
    assert "Texts: 2 simulated" in shell._as_text(found)
    listed = communication_history.admin_page("", "simulated", "sms", send_id, None, 9, True)
    assert {len(listed), len(communication_history.admin_page("", "delivered", "sms", send_id, None, 9, True))} == {
        2,
        0,
    }


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("number", "mode", "label"),
    [
        (INVITED, "EnableSmsTestMode", "Invitation simulated"),
        ("+15005550004", "EnableSmsTestMode", "Invitation simulated"),
        (INVITED, "EnableSmsOverrideNumber", "Invitation sent to the override number"),
    ],
)
def test_an_invitation_that_reached_no_phone_of_the_person_is_not_waited_for(
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
    assert state.words == label
    assert format_phone(number) in state.detail
    assert "STOP" not in state.detail
    assert not state.pending
    if mode == "EnableSmsOverrideNumber":
        assert mask_phone(OVERRIDE) in state.detail


@pytest.mark.one_engine
@pytest.mark.parametrize("override", ["", OVERRIDE])
def test_in_test_mode_no_kind_of_text_uses_the_live_credentials_and_all_are_labelled_simulated(
    simulator: servers.SimulatorClient, override: str
) -> None:
    scenario.configure_gateway(rate=20, EnableSmsTestMode="true")
    if override:
        set_switch("SmsOverrideNumber", override)
        set_switch("EnableSmsOverrideNumber", "true")
    meant = send_one_of_each_kind()
    made = attempts()
    assert Counter(delivery.address for _, delivery in made) == meant
    assert Counter(call["to"] for call in creates(simulator)) == ({override: 103} if override else meant)
    assert {delivery.state for _, delivery in made} == {"simulated"}
    assert all("Test mode: nothing real left." in timeline_text(delivery) for _, delivery in made)
    assert {timeline.describe_state(delivery)[0] for _, delivery in made} == {"Simulated: accepted"}
    assert_nothing_pending()
    assert_only_test_credentials(simulator)


@pytest.mark.one_engine
@pytest.mark.parametrize("sender", SENDING_NUMBERS)
def test_in_test_mode_a_bulk_to_magic_numbers_ends_with_the_plain_words_of_each(
    sender: str, simulator: servers.SimulatorClient
) -> None:
    test_sender = {"FromNumber": sender, "SegmentsPerSecond": 10}
    scenario.configure_gateway(EnableSmsTestMode="true", TestSmsGatewaySettings=json.dumps(test_sender))
    scenario.add_template()
    insert_accounts_with_phones(list(RECIPIENT_NUMBERS))
    scenario.create_expanded_send()
    scenario.run_sms_worker()
    found = {delivery.address: delivery for _, delivery in attempts()}
    assert found.keys() == RECIPIENT_NUMBERS.keys()
    for number, meaning in RECIPIENT_NUMBERS.items():
        words, _tone, detail = timeline.describe_state(found[number])
        code = code_in(SENDING_NUMBERS[sender]) or code_in(meaning)
        assert words == ("Simulated: refused" if code else "Simulated: accepted")
        assert detail == (f"Rehearsed: {explain_error_code(code).sentence} (code {code})" if code else "")
    assert db.session.scalars(select(ConsentEvent)).all() == [], "a rehearsed STOP silences nobody"
    assert paused_senders() == []
    assert_nothing_pending()
    set_switch("EnableSmsTestMode", "false")
    scenario.run_sms_worker(clock_ahead_ms=DAYS_MS)
    asked = {call["account_sid"] for call in simulator.get("/simulator/log")["log"]}
    assert asked == {servers.TEST_CREDENTIALS["AccountSid"]}, "what was rehearsed never leaves for real"


def code_in(meaning: str) -> str:
    """Of a magic number, the code that it stands for; "" for one that works."""
    return meaning.partition("code ")[2].rstrip(")")


def insert_accounts_with_phones(numbers: list[str]) -> None:
    """An account for each number, and its texts."""
    ids = [inbound_helpers.new_account(f"M-{place}") for place in range(len(numbers))]
    with transaction() as session:
        for account_id, number in zip(ids, numbers, strict=True):
            session.add(PhoneNumber(account_id=account_id, number=number, receives_sms=True, created_at_ms=0))


def assert_nothing_pending() -> None:
    """No receipt, now or in days; those who settle doubts find nothing to ask."""
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
def test_handsets_get_no_answer_of_our_own_unless_texts_are_live(name: str) -> None:
    scenario.configure_gateway(SmsGatewaySettings=json.dumps(_SHORT_CODE), SmsOverrideNumber=OVERRIDE)
    assert inbound_helpers.receive_text("HELP", REPLIED, scenario.now_ms())
    assert inbound_helpers.receive_text("STOP", INVITED, scenario.now_ms())
    set_switch(name, "true")
    for words in ("HELP", "STOP", "START"):
        assert inbound_helpers.receive_text(words, TRIED, scenario.now_ms()) is None


@dataclasses.dataclass
class SettingsSnapshot:
    """How the settings stood, and within which milliseconds a claim may have found them so."""

    mode: Mode
    override: str
    since_ms: int
    until_ms: int = 0

    def fits(self, attempt: Attempt, delivery: Delivery) -> bool:
        to = self.override if self.mode in (Mode.OVERRIDE, Mode.TEST_OVERRIDE) else delivery.address
        in_time = self.since_ms <= attempt.started_at_ms <= self.until_ms + 1_000
        return in_time and (attempt.mode, attempt.destination) == (self.mode.value, to)


class RandomSwitcher:
    """One setting changed after the other, drawn by lot with a seed; everything that stood is kept."""

    def __init__(self, seed: int) -> None:
        self._lot = random.Random(seed)
        self._values = dict.fromkeys(("EnableSmsTestMode", "EnableSmsOverrideNumber"), "false")
        self._values |= {"EnableSmsNotifications": "true", "SmsOverrideNumber": OVERRIDE}
        set_switch("SmsOverrideNumber", OVERRIDE)
        self.stood = [self._standing(scenario.now_ms())]

    @property
    def is_off(self) -> bool:
        return self.stood[-1].mode is Mode.OFF

    def change(self) -> None:
        """Off is short: the next change ends it."""
        name = "EnableSmsNotifications" if self.is_off else self._lot.choice(list(self._values))
        places = OVERRIDES if name == "SmsOverrideNumber" else ("false", "true")
        value = places[1 - places.index(self._values[name])]
        begun_ms = scenario.now_ms()
        set_switch(name, value)
        self._values[name] = value
        self.stood[-1].until_ms = scenario.now_ms()
        self.stood.append(self._standing(begun_ms))

    def _standing(self, since_ms: int) -> SettingsSnapshot:
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
    """As the workers do who are rung for again and again: until nothing waits."""

    def is_empty() -> bool:
        scenario.run_sms_worker()
        return not scenario.count_states("sms").keys() & {"ready", "sending"}

    servers.wait_for(is_empty, "every text to leave", 60)


def test_fifty_changes_of_mode_during_a_send_of_a_thousand_mix_nothing_in_any_attempt(
    app: Flask, simulator: servers.SimulatorClient
) -> None:
    create_bulk_send(1_000, rate=500)
    switching = RandomSwitcher(seed=50)
    with worker_thread(app, drain_all):
        for turn in range(50):
            if not switching.is_off:
                servers.wait_for(lambda turn=turn: count() >= 18 * turn, "the send to go on")
            switching.change()
        if switching.is_off:
            switching.change()
    switching.stood[-1].until_ms = scenario.now_ms()
    made = attempts()
    for attempt, delivery in made:
        ours = (
            (servers.TEST_CREDENTIALS, TEST_FROM)
            if attempt.mode in SIMULATED_MODES
            else (servers.LIVE_CREDENTIALS, servers.FROM_NUMBER)
        )
        assert (attempt.account_sid, attempt.sender) == (ours[0]["AccountSid"], ours[1])
        assert any(standing.fits(attempt, delivery) for standing in switching.stood), attempt.mode
    assert {attempt.mode for attempt, _ in made} == {mode.value for mode in Mode} - {"off"}
    assert_simulator_log_matches(simulator, made, 1_000)


def assert_simulator_log_matches(
    simulator: servers.SimulatorClient, made: list[tuple[Attempt, Delivery]], total: int
) -> None:
    """Request by request: who asked, from where, to whom, with which words; and each text once."""
    calls = {call["sid"]: call for call in creates(simulator)}
    assert len(calls) == len(made) == len({delivery.id for _, delivery in made}) == total
    for attempt, delivery in made:
        call = calls[attempt.provider_id]
        asked = (call["account_sid"], call["from"], call["to"], call["body"])
        assert asked == (attempt.account_sid, attempt.sender, attempt.destination, delivery.body)
        assert f"/{attempt.account_sid}/" in call["path"]
        assert delivery.state == ("simulated" if attempt.mode in SIMULATED_MODES else "accepted")


def test_a_wrong_token_during_a_send_pauses_the_lane_in_time_and_loses_and_doubles_nothing(
    app: Flask, simulator: servers.SimulatorClient
) -> None:
    create_bulk_send(500, rate=200)
    with worker_thread(app, scenario.run_sms_worker):
        servers.wait_for(lambda: count("accepted") >= 100, "a part to have left")
        set_switch("SmsGatewayAuthentication", json.dumps({**servers.LIVE_CREDENTIALS, "AuthToken": "wrong"}))
        reason = servers.wait_for(pause_reasons, "the lane to be pause_reasons")
    assert "20003" in reason
    refused = [call for call in creates(simulator) if call["status"] == 401]
    assert 1 <= len(refused) <= MAX_IN_FLIGHT
    assert count("account_fault") == len(refused)
    left = len(simulator.accepted_texts())
    assert scenario.count_states("sms") == {"accepted": left, "ready": 500 - left}
    assert {row.attempt_count for row in scenario.deliveries("sms") if row.state == "ready"} == {0}, (
        "no attempt is burned"
    )
    scenario.run_sms_worker()
    assert len(creates(simulator)) == left + len(refused), "a paused lane asks nothing"
    set_switch("SmsGatewayAuthentication", json.dumps(servers.LIVE_CREDENTIALS))
    assert pause_reasons() == ""
    drain_all()
    assert scenario.count_states("sms") == {"accepted": 500}
    assert Counter(text["to"] for text in simulator.accepted_texts()) == {
        scenario.phone_number(n): 1 for n in range(500)
    }


def pause_reasons() -> str:
    """Why the lane stands still."""
    reasons = [sender.paused_reason for sender in paused_senders()]
    db.session.remove()
    return "; ".join(reasons)


def test_the_feature_switched_off_during_a_send_stops_it_and_on_again_it_goes_on(
    app: Flask, simulator: servers.SimulatorClient
) -> None:
    create_bulk_send(300, rate=200)
    with worker_thread(app, scenario.run_sms_worker):
        servers.wait_for(lambda: count("accepted") >= 60, "a part to have left")
        set_switch("EnableSmsNotifications", "false")
        off_ms = scenario.now_ms()
    left = len(simulator.accepted_texts())
    assert left < 300
    assert all(call["at_ms"] <= off_ms + 1_000 for call in creates(simulator))
    scenario.run_sms_worker()
    assert len(creates(simulator)) == left
    assert scenario.count_states("sms") == {"accepted": left, "ready": 300 - left}
    assert inbound_helpers.count_rows(Communication) == 300
    set_switch("EnableSmsNotifications", "true")
    drain_all()
    assert scenario.count_states("sms") == {"accepted": 300}
    assert Counter(text["to"] for text in simulator.accepted_texts()) == {
        scenario.phone_number(n): 1 for n in range(300)
    }

"""Twilio learns of each opt-out and START, whatever fails meanwhile, and of nothing that no longer holds."""

import json
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from portal.accounts.tables.phone_numbers import PhoneState
from portal.carriers import consent_reporting
from portal.carriers.consent_reporting import report_consent
from portal.consent import manual_consent, recording
from portal.consent.rules.consent_state import EventKind, EventSource
from portal.consent.tables.consent_reports import ConsentReport
from portal.core.actor import SHELL_ACTOR
from portal.core.extensions import db
from portal.core.transaction import transaction
from tests.support import inbound_helpers, scenario, servers

pytestmark = pytest.mark.usefixtures("app")
NUMBER, OTHER = scenario.phone_number(0), scenario.phone_number(1)
HOUR_MS = 3_600_000


@pytest.fixture(autouse=True)
def portal_that_reports(app: object) -> None:
    scenario.configure_gateway(ReportConsentToTwilio="true")
    scenario.create_accounts(2, with_sms=2)


def report(ahead_ms: int = 0) -> list[float]:
    """One round of the scheduler. Return the pauses between its calls."""
    pauses: list[float] = []
    report_consent(lambda: scenario.now_ms() + ahead_ms, pauses.append)
    db.session.remove()
    return pauses


def calls(simulator: servers.SimulatorClient) -> list[list[dict[str, Any]]]:
    log = simulator.get("/simulator/log")["log"]
    return [json.loads(entry["body"]) for entry in log if entry["kind"] == "consents" and entry["body"]]


def told(simulator: servers.SimulatorClient) -> list[tuple[str, str, str]]:
    items = [item for call in calls(simulator) for item in call]
    return [(item["contact_id"], item["status"], item["source"]) for item in items]


def opt_out(number: str = NUMBER) -> None:
    manual_consent.opt_out(number, "phone", "rang us", SHELL_ACTOR, scenario.now_ms())


def reports() -> list[tuple[str, str]]:
    db.session.remove()
    query = select(ConsentReport.state, ConsentReport.error).order_by(ConsentReport.event_id)
    return [(state, error) for state, error in db.session.execute(query)]


def stop() -> None:
    inbound_helpers.receive_text("STOP", NUMBER, scenario.now_ms())


def start() -> None:
    inbound_helpers.receive_text("START", NUMBER, scenario.now_ms() + 200_000)


HISTORIES: dict[str, tuple[tuple[Callable[[], None], ...], list[tuple[str, str, str]], list[str]]] = {
    "by an administrator": ((opt_out,), [(NUMBER, "opt-out", "offline")], ["told"]),
    "by text": ((stop,), [(NUMBER, "opt-out", "opt-out-message")], ["told"]),
    "taken back": ((stop, start), [(NUMBER, "opt-in", "opt-in-message")], ["superseded", "told"]),
}


@pytest.mark.parametrize("name", HISTORIES)
def test_twilio_is_told_what_holds_now_once(simulator: servers.SimulatorClient, name: str) -> None:
    events, expected, states = HISTORIES[name]
    for event in events:
        event()
    report(ahead_ms=HOUR_MS)
    report(ahead_ms=HOUR_MS)
    assert told(simulator) == expected
    assert [state for state, _error in reports()] == states


def test_a_repetition_after_a_kill_is_the_same_to_the_letter(simulator: servers.SimulatorClient) -> None:
    """The process is killed while it waits for the answer to what Twilio has taken."""
    opt_out()
    simulator.set_faults(rules=[{"kind": "timeout_after", "call": "consents", "count": 1}])
    db.session.remove()
    reporter = os.fork()
    if reporter == 0:
        db.engine.dispose(close=False)  # the connections are the parent's
        report()
        os._exit(0)
    servers.wait_for(lambda: calls(simulator), "the call of the other process")
    os.kill(reporter, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(reporter, 0)[1]) == -signal.SIGKILL
    report()
    first, second = calls(simulator)
    assert first == second
    assert [state for state, _error in reports()] == ["told"]


FAULTS = ("429", "500_before", "500_after", "reset_after", "half_json", "html_200", "401")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failed_call_is_repeated_later(simulator: servers.SimulatorClient, fault: str) -> None:
    opt_out()
    simulator.set_faults(rules=[{"kind": fault, "call": "consents", "count": 1}])
    report()
    ((state, error),) = reports()
    assert (state, bool(error)) == ("waiting", True)
    report()
    assert reports()[0][0] == "waiting", "not at once"
    report(ahead_ms=2 * 60_000)
    assert reports()[0][0] == "told"
    assert {item["contact_id"] for call in calls(simulator) for item in call} == {NUMBER}


def test_a_refused_item_is_kept_with_its_reason_until_somebody_retries(simulator: servers.SimulatorClient) -> None:
    opt_out()
    opt_out(OTHER)
    simulator.set_faults(rules=[{"kind": "reject", "code": 30646, "call": "consent", "to": NUMBER, "count": 1}])
    report()
    assert reports() == [("refused", "Twilio does not accept the phone number."), ("told", "")]
    consent_reporting.try_refused_again(1, scenario.now_ms())
    report()
    assert [state for state, _error in reports()] == ["told", "told"]


def test_calls_carry_25_items_with_a_pause_between_them(simulator: servers.SimulatorClient) -> None:
    for index in range(30):
        opt_out(scenario.phone_number(100 + index))
    pauses = report()
    assert [len(call) for call in calls(simulator)] == [25, 5]
    assert min(pauses) >= 0.6, "100 calls a minute"


def test_each_sending_number_is_told(simulator: servers.SimulatorClient) -> None:
    sender = {"FromNumber": servers.FROM_NUMBER, "MoreNumbers": ["+12025550101"]}
    scenario.configure_gateway(ReportConsentToTwilio="true", SmsGatewaySettings=json.dumps(sender))
    opt_out()
    report()
    (items,) = calls(simulator)
    assert [item["sender_id"] for item in items] == [servers.FROM_NUMBER, "+12025550101"]
    assert len({item["correlation_id"] for item in items}) == 2


def test_nothing_is_told_while_reporting_is_off(simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway(ReportConsentToTwilio="false")
    opt_out()
    report()
    assert (reports(), calls(simulator)) == ([], [])


def test_a_stop_that_twilio_reported_is_not_told(simulator: servers.SimulatorClient) -> None:
    with transaction():
        recording.record(NUMBER, EventKind.STOP, EventSource.TWILIO, scenario.now_ms(), scenario.now_ms())
    report()
    assert (reports(), calls(simulator)) == ([], [])
    assert db.session.get_one(PhoneState, NUMBER).stopped_at_ms

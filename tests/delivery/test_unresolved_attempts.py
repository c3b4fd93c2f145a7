"""Unknown outcomes: found by evidence, resent only if the text certainly did not arrive, never duplicated."""

import json

import pytest
import urllib3
from sqlalchemy import select

from portal.accounts.tables.phone_numbers import PhoneState
from portal.consent.tables.ledger import ConsentEvent
from portal.core import audit_log
from portal.core.extensions import db
from portal.delivery import maintenance, reconciliation
from portal.delivery.sms_attempt import ClaimedText, ReleasedText, SmsResult
from portal.delivery.sms_call import SmsCaller
from portal.delivery.sms_claim import record_and_claim
from portal.gateways.outcomes import Accepted, AccountFault, NotSent, Outcome, Unknown
from portal.gateways.twilio_messages import TwilioGateway, _parse_response
from portal.messages.tables.communications import Attempt
from portal.settings import setting_changes
from portal.settings.tables.sending_numbers import paused_senders
from tests.support import scenario, servers

pytestmark = pytest.mark.usefixtures("app")


@pytest.fixture(autouse=True)
def one_text(app: object) -> None:
    scenario.create_one_waiting_text()


def reconcile_after(ahead_ms: int = 0) -> None:
    db.session.remove()
    reconciliation.reconcile_unknown_texts(lambda: scenario.now_ms() + ahead_ms)
    db.session.remove()


@pytest.mark.one_engine
@pytest.mark.parametrize("kind", ["500_after", "reset_after", "half_json", "timeout_after"])
def test_accepted_text_without_an_answer_is_found_in_the_list(simulator: servers.SimulatorClient, kind: str) -> None:
    simulator.set_faults(receipts={"final": "none"}, rules=[{"kind": kind, "count": 1, "seconds": 4}])
    scenario.run_sms_worker()
    assert scenario.count_states("sms") == {"unknown": 1}
    reconcile_after()
    assert scenario.deliveries("sms")[0].state in ("accepted", "sent")
    scenario.run_sms_worker(clock_ahead_ms=60_000)
    assert len(simulator.accepted_texts()) == 1


@pytest.mark.one_engine
@pytest.mark.parametrize("kind", ["500_before", "html_200", "timeout_before"])
def test_missing_text_is_resent_after_the_settle_window(simulator: servers.SimulatorClient, kind: str) -> None:
    simulator.set_faults(receipts={"final": "none"}, rules=[{"kind": kind, "count": 1, "seconds": 4}])
    scenario.run_sms_worker()
    reconcile_after()
    assert scenario.count_states("sms") == {"unknown": 1}, "too early to tell"
    reconcile_after(ahead_ms=30_000)
    assert scenario.count_states("sms") == {"ready": 1}
    scenario.run_sms_worker(clock_ahead_ms=60_000)
    assert len(simulator.accepted_texts()) == 1
    assert scenario.count_states("sms") == {"accepted": 1}


def test_lagging_list_causes_no_duplicate(simulator: servers.SimulatorClient) -> None:
    simulator.set_faults(receipts={"final": "none"}, list_stale_ms=60_000, rules=[{"kind": "500_after", "count": 1}])
    scenario.run_sms_worker()
    reconcile_after()
    assert scenario.count_states("sms") == {"unknown": 1}
    simulator.set_faults(receipts={"final": "none"})
    reconcile_after(ahead_ms=5_000)
    assert scenario.deliveries("sms")[0].state in ("accepted", "sent")
    assert len(simulator.accepted_texts()) == 1


def test_duplicates_in_the_list_are_reported(
    simulator: servers.SimulatorClient,
) -> None:
    simulator.set_faults(receipts={"final": "none"}, rules=[{"kind": "500_after", "count": 1}])
    scenario.run_sms_worker(until=scenario.attempts_recorded(1))
    (text,) = scenario.deliveries("sms")
    scenario.forget_audit_entries()
    simulator.call_api("POST", "/simulator/seed", {"messages": [{"to": text.address, "body": text.body}]})
    reconcile_after()
    assert scenario.deliveries("sms")[0].state == "delivered"
    (entry,) = audit_log.audit_page_before(None, 10)
    assert (entry.action, len(entry.detail["ids"])) == ("text_listed_twice", 2)
    reconcile_after(ahead_ms=60_000)
    scenario.run_sms_worker(clock_ahead_ms=60_000)
    assert len(simulator.accepted_texts()) == 2


def test_too_many_requests_is_not_a_failure(simulator: servers.SimulatorClient) -> None:
    simulator.set_faults(receipts={"final": "none"}, rules=[{"kind": "429", "retry_after": 3, "count": 1}])
    begun_ms = scenario.now_ms()
    scenario.run_sms_worker(until=scenario.attempts_recorded(1))
    row = scenario.deliveries("sms")[0]
    assert row.state == "ready"
    assert row.due_at_ms >= begun_ms + 3_000
    scenario.run_sms_worker(clock_ahead_ms=10_000)
    assert len(simulator.accepted_texts()) == 1


def test_wrong_credentials_pause_the_lane(simulator: servers.SimulatorClient) -> None:
    simulator.set_faults(receipts={"final": "none"}, rules=[{"kind": "401", "count": 1}])
    scenario.run_sms_worker()
    row = scenario.deliveries("sms")[0]
    assert (row.state, row.attempt_count) == ("ready", 0)
    assert paused_senders()[0].number == servers.FROM_NUMBER
    scenario.run_sms_worker()
    assert simulator.accepted_texts() == []
    scenario.configure_gateway()
    scenario.run_sms_worker()
    assert len(simulator.accepted_texts()) == 1


def test_rejected_text_is_not_retried(simulator: servers.SimulatorClient) -> None:
    simulator.set_faults(receipts={"final": "none"}, rules=[{"kind": "reject", "code": 21614}])
    scenario.run_sms_worker()
    row = scenario.deliveries("sms")[0]
    assert (row.state, row.error_code) == ("rejected", "21614")
    scenario.run_sms_worker(clock_ahead_ms=600_000)
    assert scenario.deliveries("sms")[0].attempt_count == 1


def test_stop_reported_by_twilio_is_recorded_in_the_ledger(
    simulator: servers.SimulatorClient,
) -> None:
    simulator.set_faults(receipts={"final": "none"}, rules=[{"kind": "reject", "code": 21610, "count": 1}])
    scenario.run_sms_worker()
    assert scenario.count_states("sms") == {"opted_out": 1}
    assert db.session.get_one(PhoneState, scenario.phone_number(0)).stopped_at_ms
    assert db.session.scalars(select(ConsentEvent.kind).order_by(ConsentEvent.id)).all() == ["opt_in", "stop"]


def test_text_with_an_expired_lease_becomes_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    claimed = _claim_and_crash()
    scenario.run_scheduler_once(scenario.now_ms)
    assert scenario.count_states("sms") == {"sending": 1}
    monkeypatch.setattr(maintenance, "reconcile_unknown_texts", lambda _clock: None)
    scenario.run_scheduler_once(lambda: claimed.attempt.lease_until_ms + 1)
    assert scenario.count_states("sms") == {"unknown": 1}


def test_worker_past_its_slot_does_not_send(simulator: servers.SimulatorClient) -> None:
    claimed = _claim_and_crash()
    gateway = TwilioGateway(simulator.url, "http://127.0.0.1:9", 2)
    late = SmsCaller(gateway, clock=lambda: claimed.slot_us + 10_000_000)
    assert late.send(claimed).outcome == ReleasedText()
    assert simulator.accepted_texts() == []


def test_attempt_is_committed_before_the_call(simulator: servers.SimulatorClient) -> None:
    claimed = _claim_and_crash()
    db.session.remove()
    attempt = db.session.get_one(Attempt, claimed.attempt.id)
    assert (attempt.outcome, attempt.destination) == ("", scenario.phone_number(0))
    assert simulator.accepted_texts() == []


def _claim_and_crash() -> ClaimedText:
    claimed = record_and_claim([], 10, lambda: scenario.now_ms() * 1000).claimed
    assert len(claimed) == 1
    return claimed[0]


def _result(claimed: ClaimedText, outcome: Outcome) -> SmsResult:
    return SmsResult(claimed, outcome)


def test_late_acceptance_of_a_requeued_text_still_counts(simulator: servers.SimulatorClient) -> None:
    claimed = _claim_and_crash()
    record_and_claim([_result(claimed, Unknown("?"))], 0, scenario.now_us)
    reconcile_after(ahead_ms=60_000)
    assert scenario.count_states("sms") == {"ready": 1}
    late = _result(claimed, Accepted("SM1"))
    assert record_and_claim([late], 10, scenario.now_us).claimed == ()
    assert scenario.count_states("sms") == {"accepted": 1}


def test_list_of_another_account_is_not_evidence(simulator: servers.SimulatorClient) -> None:
    simulator.set_faults(receipts={"final": "none"}, rules=[{"kind": "500_after", "count": 1}])
    scenario.run_sms_worker()
    other = json.dumps({"AccountSid": "AC" + "f" * 32, "AuthToken": "another account's"})
    setting_changes.set_setting("SmsGatewayAuthentication", other, None, scenario.now_ms())
    reconcile_after(ahead_ms=3_600_000)
    assert scenario.count_states("sms") == {"unknown": 1}


def test_text_is_found_although_the_clock_is_minutes_ahead(simulator: servers.SimulatorClient) -> None:
    simulator.set_faults(receipts={"final": "none"}, rules=[{"kind": "500_after", "count": 1}])
    scenario.run_sms_worker(clock_ahead_ms=300_000)
    reconcile_after(ahead_ms=900_000)
    assert len(simulator.accepted_texts()) == 1
    assert scenario.deliveries("sms")[0].state in ("accepted", "sent")


def test_late_fault_of_old_credentials_pauses_nothing(
    simulator: servers.SimulatorClient,
) -> None:
    claimed = _claim_and_crash()
    scenario.configure_gateway()
    record_and_claim([_result(claimed, AccountFault("20003", "No"))], 0, scenario.now_us)
    assert paused_senders() == []


@pytest.mark.one_engine
@pytest.mark.parametrize("error", ["403 Forbidden", "404 Not Found", "413 Too Large"])
def test_error_page_of_a_proxy_is_not_a_rejection(error: str) -> None:
    page = urllib3.HTTPResponse(f"<html>{error}</html>".encode(), status=int(error[:3]))
    assert isinstance(_parse_response(page), NotSent)


def test_correcting_a_wrong_rate_takes_effect_at_once(simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway(rate=0.01)
    scenario.run_sms_worker(until=scenario.attempts_recorded(1))
    scenario.create_more_accounts(1)
    scenario.create_expanded_send(audience={"external_ids": ["Q-0"]})
    scenario.configure_gateway(rate=100)
    scenario.run_sms_worker()
    assert len(simulator.accepted_texts()) == 2

"""When the answer is not heard: found by evidence, sent again only when it certainly did not arrive, never twice."""

import json

import pytest
from sqlalchemy import select

from portal.accounts.tables.phone_numbers import PhoneState
from portal.consent.tables.ledger import ConsentEvent
from portal.core import audit_log
from portal.core.extensions import db
from portal.delivery import maintenance, reconciliation
from portal.messages.tables.communications import Attempt
from portal.settings import app_settings
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
def test_a_text_that_was_accepted_unheard_is_found_and_not_sent_again(
    simulator: servers.SimulatorClient, kind: str
) -> None:
    simulator.set_faults(receipts={"final": "none"}, rules=[{"kind": kind, "count": 1, "seconds": 4}])
    scenario.run_sms_worker()
    assert scenario.count_states("sms") == {"unknown": 1}
    reconcile_after()
    assert scenario.deliveries("sms")[0].state in ("accepted", "sent")
    scenario.run_sms_worker(clock_ahead_ms=60_000)
    assert len(simulator.accepted_texts()) == 1


@pytest.mark.one_engine
@pytest.mark.parametrize("kind", ["500_before", "html_200", "timeout_before"])
def test_a_text_that_did_not_arrive_is_sent_again_after_the_settle_window(
    simulator: servers.SimulatorClient, kind: str
) -> None:
    simulator.set_faults(receipts={"final": "none"}, rules=[{"kind": kind, "count": 1, "seconds": 4}])
    scenario.run_sms_worker()
    reconcile_after()
    assert scenario.count_states("sms") == {"unknown": 1}, "too early to tell"
    reconcile_after(ahead_ms=30_000)
    assert scenario.count_states("sms") == {"ready": 1}
    scenario.run_sms_worker(clock_ahead_ms=60_000)
    assert len(simulator.accepted_texts()) == 1
    assert scenario.count_states("sms") == {"accepted": 1}


def test_a_list_that_lags_behind_does_not_make_a_second_text(simulator: servers.SimulatorClient) -> None:
    simulator.set_faults(receipts={"final": "none"}, list_stale_ms=60_000, rules=[{"kind": "500_after", "count": 1}])
    scenario.run_sms_worker()
    reconcile_after()
    assert scenario.count_states("sms") == {"unknown": 1}
    simulator.set_faults(receipts={"final": "none"})
    reconcile_after(ahead_ms=5_000)
    assert scenario.deliveries("sms")[0].state in ("accepted", "sent")
    assert len(simulator.accepted_texts()) == 1


def test_two_copies_in_the_list_are_told_to_somebody_and_nothing_is_sent_again(
    simulator: servers.SimulatorClient,
) -> None:
    simulator.set_faults(receipts={"final": "none"}, rules=[{"kind": "500_after", "count": 1}])
    scenario.run_sms_worker(until=scenario.attempts_recorded(1))
    (text,) = scenario.deliveries("sms")
    simulator.call_api("POST", "/simulator/seed", {"messages": [{"to": text.address, "body": text.body}]})
    reconcile_after()
    assert scenario.deliveries("sms")[0].state == "delivered"
    (entry,) = audit_log.audit_page_before(None, 10)
    assert (entry.action, len(entry.detail["ids"])) == ("text_listed_twice", 2)
    reconcile_after(ahead_ms=60_000)
    scenario.run_sms_worker(clock_ahead_ms=60_000)
    assert len(simulator.accepted_texts()) == 2


def test_being_asked_to_slow_down_is_not_a_failure(simulator: servers.SimulatorClient) -> None:
    simulator.set_faults(receipts={"final": "none"}, rules=[{"kind": "429", "retry_after": 3, "count": 1}])
    begun_ms = scenario.now_ms()
    scenario.run_sms_worker(until=scenario.attempts_recorded(1))
    row = scenario.deliveries("sms")[0]
    assert row.state == "ready"
    assert row.due_at_ms >= begun_ms + 3_000
    scenario.run_sms_worker(clock_ahead_ms=10_000)
    assert len(simulator.accepted_texts()) == 1


def test_wrong_credentials_pause_the_lane_burn_no_attempt_and_lose_nothing(simulator: servers.SimulatorClient) -> None:
    simulator.set_faults(receipts={"final": "none"}, rules=[{"kind": "401", "count": 1}])
    scenario.run_sms_worker()
    row = scenario.deliveries("sms")[0]
    assert (row.state, row.attempt_count) == ("ready", 0)
    assert app_settings.paused_sending_numbers()[0][0] == servers.FROM_NUMBER
    scenario.run_sms_worker()
    assert simulator.accepted_texts() == []
    scenario.configure_gateway()
    scenario.run_sms_worker()
    assert len(simulator.accepted_texts()) == 1


def test_a_refusal_is_final_and_says_why(simulator: servers.SimulatorClient) -> None:
    simulator.set_faults(receipts={"final": "none"}, rules=[{"kind": "reject", "code": 21614}])
    scenario.run_sms_worker()
    row = scenario.deliveries("sms")[0]
    assert (row.state, row.error_code) == ("rejected", "21614")
    scenario.run_sms_worker(clock_ahead_ms=600_000)
    assert scenario.deliveries("sms")[0].attempt_count == 1


def test_a_stop_that_only_twilio_knew_of_silences_the_number_and_enters_the_ledger(
    simulator: servers.SimulatorClient,
) -> None:
    simulator.set_faults(receipts={"final": "none"}, rules=[{"kind": "reject", "code": 21610, "count": 1}])
    scenario.run_sms_worker()
    assert scenario.count_states("sms") == {"opted_out": 1}
    assert db.session.get(PhoneState, scenario.phone_number(0)).stopped_at_ms
    assert db.session.scalars(select(ConsentEvent.kind).order_by(ConsentEvent.id)).all() == ["opt_in", "stop"]


def test_what_was_under_way_when_its_lease_ran_out_is_unknown_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    claimed = _claim_and_crash()
    scenario.run_scheduler_once(scenario.now_ms)
    assert scenario.count_states("sms") == {"sending": 1}
    monkeypatch.setattr(maintenance, "settle_unknown", lambda _clock: None)
    scenario.run_scheduler_once(lambda: claimed.lease_until_ms + 1)
    assert scenario.count_states("sms") == {"unknown": 1}


def test_a_worker_that_slept_past_its_slot_does_not_send(simulator: servers.SimulatorClient) -> None:
    from portal.delivery.sms_worker import SmsWorkerRun
    from portal.gateways.twilio_messages import TwilioGateway

    claimed = _claim_and_crash()
    late = SmsWorkerRun(
        TwilioGateway(simulator.url, "http://127.0.0.1:9", 2), clock=lambda: claimed.slot_us + 10_000_000
    )
    assert type(late._call_provider(claimed)).__name__ == "Released"
    assert simulator.accepted_texts() == []


def test_the_attempt_is_in_the_database_before_the_call(simulator: servers.SimulatorClient) -> None:
    claimed = _claim_and_crash()
    db.session.remove()
    attempt = db.session.get(Attempt, claimed.attempt_id)
    assert (attempt.outcome, attempt.destination) == ("", scenario.phone_number(0))
    assert simulator.accepted_texts() == []


def _claim_and_crash():
    from portal.delivery.sms_claim import record_and_claim

    claimed = record_and_claim([], 10, lambda: scenario.now_ms() * 1000).claimed
    assert len(claimed) == 1
    return claimed[0]


def test_an_answer_heard_after_the_text_was_thought_absent_still_counts(simulator: servers.SimulatorClient) -> None:
    from portal.delivery.sms_claim import record_and_claim
    from portal.delivery.sms_results import SmsResult
    from portal.gateways.outcomes import Accepted, Unknown

    claimed = _claim_and_crash()
    seen = {"mode": claimed.mode, "sender": claimed.sender.sender_key}
    record_and_claim(
        [SmsResult(claimed.attempt_id, claimed.delivery_id, outcome=Unknown("?"), **seen)], 0, scenario.now_us
    )
    reconcile_after(ahead_ms=60_000)
    assert scenario.count_states("sms") == {"ready": 1}
    late = SmsResult(claimed.attempt_id, claimed.delivery_id, outcome=Accepted("SM1"), **seen)
    assert record_and_claim([late], 10, scenario.now_us).claimed == ()
    assert scenario.count_states("sms") == {"accepted": 1}


def test_another_accounts_list_is_no_evidence_that_a_text_did_not_arrive(simulator: servers.SimulatorClient) -> None:
    simulator.set_faults(receipts={"final": "none"}, rules=[{"kind": "500_after", "count": 1}])
    scenario.run_sms_worker()
    other = json.dumps({"AccountSid": "AC" + "f" * 32, "AuthToken": "another account's"})
    app_settings.set_setting("SmsGatewayAuthentication", other, None, scenario.now_ms())
    reconcile_after(ahead_ms=3_600_000)
    assert scenario.count_states("sms") == {"unknown": 1}


def test_a_clock_that_is_minutes_ahead_finds_the_text_all_the_same(simulator: servers.SimulatorClient) -> None:
    simulator.set_faults(receipts={"final": "none"}, rules=[{"kind": "500_after", "count": 1}])
    scenario.run_sms_worker(clock_ahead_ms=300_000)
    reconcile_after(ahead_ms=900_000)
    assert len(simulator.accepted_texts()) == 1
    assert scenario.deliveries("sms")[0].state in ("accepted", "sent")


def test_a_late_complaint_about_old_credentials_does_not_pause_the_mended_lane(
    simulator: servers.SimulatorClient,
) -> None:
    from portal.delivery.sms_claim import record_and_claim
    from portal.delivery.sms_results import SmsResult
    from portal.gateways.outcomes import AccountFault

    claimed = _claim_and_crash()
    scenario.configure_gateway()
    late = SmsResult(
        claimed.attempt_id, claimed.delivery_id, claimed.mode, claimed.sender.sender_key, AccountFault("20003", "No")
    )
    record_and_claim([late], 0, scenario.now_us)
    assert app_settings.paused_sending_numbers() == []


@pytest.mark.one_engine
@pytest.mark.parametrize("answer", ["403 Forbidden", "404 Not Found", "413 Too Large"])
def test_a_page_of_something_before_twilio_is_no_refusal_of_the_text(answer: str) -> None:
    import urllib3

    from portal.gateways.outcomes import NotSent
    from portal.gateways.twilio_messages import _parse_response

    page = urllib3.HTTPResponse(f"<html>{answer}</html>".encode(), status=int(answer[:3]))
    assert isinstance(_parse_response(page), NotSent)


def test_a_rate_set_wrong_for_a_moment_does_not_hold_the_lane_for_hours(simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway(rate=0.01)
    scenario.run_sms_worker(until=scenario.attempts_recorded(1))
    scenario.create_more_accounts(1)
    scenario.create_expanded_send(audience={"external_ids": ["Q-0"]})
    scenario.configure_gateway(rate=100)
    scenario.run_sms_worker()
    assert len(simulator.accepted_texts()) == 2

"""Scenarios 9 and 15: Twilio fails in many ways, is down, rejects the credentials, or lists messages unreliably."""

import itertools
import time

import requests

from tests.faults.support.engine_marks import on_engine_in_short_run, on_engines
from tests.faults.support.fault_environment import FaultEnvironment
from tests.faults.support.fault_report import FaultReport
from tests.faults.support.http_actors import AdminSession
from tests.faults.support.invariants import DefectFound, check_invariants, delivery_timeline, measure_outcome
from tests.faults.support.timing import LONG_RUN, SETTLE_SECONDS, TIMEOUT_SECONDS
from tests.support import servers

_FAULTS: tuple[dict[str, object], ...] = (
    {"kind": "500_before"},
    {"kind": "500_after"},
    {"kind": "timeout_before", "seconds": 5},
    {"kind": "timeout_after", "seconds": 5},
    {"kind": "reset_before"},
    {"kind": "reset_after"},
    {"kind": "half_json"},
    {"kind": "html_200"},
    {"kind": "429", "retry_after": 1},
    {"kind": "429"},
)


@on_engine_in_short_run("sqlite")
def test_every_kind_of_twilio_failure_ends_with_one_text(environment: FaultEnvironment, report: FaultReport) -> None:
    """Faults affect the first attempt of every third text; receipts never come, and the message list is stale."""
    audience = environment.sends.create_recipients(3 * len(_FAULTS) * (10 if LONG_RUN else 1))
    affected = audience.phone_numbers[::3]
    rules = [
        {**fault, "to": number, "count": 1} for fault, number in zip(itertools.cycle(_FAULTS), affected, strict=False)
    ]
    stale_ms = round(SETTLE_SECONDS * 600)
    environment.simulator.set_faults(rules=rules, list_stale_ms=stale_ms, receipts={"drop": 1})
    send = environment.sends.create(audience)
    environment.progress.wait_until_settled(send)
    outcome = check_invariants(environment, send, audience.phone_numbers)
    assert outcome.attempts >= len(rules)
    report.add("9 every kind of failure", environment.engine, **outcome.figures())


@on_engine_in_short_run("postgresql")
def test_slow_responses_within_the_timeout_send_every_text_once(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    """In the long form, responses take 14/15 of the timeout."""
    audience = environment.sends.create_recipients(30 if LONG_RUN else 10)
    environment.simulator.set_faults(latency_ms=round(TIMEOUT_SECONDS * (933 if LONG_RUN else 600)))
    send = environment.sends.create(audience)
    environment.progress.wait_until_settled(send)
    outcome = check_invariants(environment, send, audience.phone_numbers)
    report.add("9 slow", environment.engine, seconds_per_response=TIMEOUT_SECONDS * 0.933, **outcome.figures())


@on_engine_in_short_run("sqlite")
def test_texts_wait_while_dns_lookups_of_twilio_fail(environment: FaultEnvironment, report: FaultReport) -> None:
    """Nothing was sent, so no outcome is unknown, and every text leaves afterwards."""
    environment.scale_processes(sms=0)
    worker = environment.start_process("sms", PORTAL_TWILIO_API_URL="http://api.twilio.invalid")
    audience = environment.sends.create_recipients(10)
    send = environment.sends.create(audience)
    not_sent = """SELECT count(*) FROM attempt a JOIN delivery d ON d.id = a.delivery_id
               WHERE d.send_id = :send AND a.outcome = 'not_sent' AND d.channel = 'sms'"""
    environment.wait(lambda: environment.database.value(not_sent, send=send), "the first attempt", send=send)
    assert not environment.simulator.calls()
    environment.supervisor.stop_for_good(worker)
    assert not environment.progress.count_states(send).get("unknown")
    assert measure_outcome(environment, send, audience.phone_numbers).unknown_outcomes == 0
    environment.scale_processes()
    environment.progress.wait_until_settled(send)
    outcome = check_invariants(environment, send, audience.phone_numbers)
    report.add("9 DNS fails", environment.engine, **outcome.figures())


@on_engine_in_short_run("postgresql")
def test_outages_and_wrong_credentials_use_up_no_attempts(environment: FaultEnvironment, report: FaultReport) -> None:
    """Twilio is down at first; then it answers 401, which pauses the sending number until the settings are saved."""
    admin = AdminSession(environment)
    audience = environment.sends.create_recipients(8)
    environment.simulator.stop()
    send = environment.sends.create(audience)
    not_sent = "SELECT count(*) FROM attempt WHERE outcome = 'not_sent' AND sender <> ''"
    environment.wait(lambda: environment.database.value(not_sent), "the first attempt")
    environment.simulator.start()
    environment.simulator.set_faults(rules=[{"kind": "401"}])
    environment.wait(environment.progress.is_sms_paused, "the sending number to pause", send=send)
    assert "20003" in admin.get("/Admin/Mode").text
    calls, before = len(environment.simulator.calls()), _most_attempts(environment, send)
    environment.wait_for_scheduler_runs(3)
    assert len(environment.simulator.calls()) == calls
    environment.simulator.set_faults()
    environment.change_setting("SmsGatewayAuthentication", servers.LIVE_CREDENTIALS, force=True)
    environment.progress.wait_until_settled(send)
    outcome = check_invariants(environment, send, audience.phone_numbers)
    most_attempts = _most_attempts(environment, send)
    assert most_attempts <= before + 2, "one is accepted; on a busy machine one more may be unknown"
    report.add("9 down, then 401", environment.engine, most_attempts=most_attempts, **outcome.figures())


def _most_attempts(environment: FaultEnvironment, send: int) -> int:
    query = "SELECT max(attempt_count) FROM delivery WHERE send_id = :send AND channel = 'sms'"
    return int(environment.database.value(query, send=send))


@on_engine_in_short_run("sqlite")
def test_circuit_breaker_opens_if_the_provider_answers_500(environment: FaultEnvironment, report: FaultReport) -> None:
    """Every attempt during an outage leaves an unknown outcome, so texts wait and one probe per minute is sent."""
    environment.simulator.set_faults(rules=[{"kind": "500_before"}])
    audience = environment.sends.create_recipients(80 if LONG_RUN else 40)
    environment.configure(rate=10)
    send = environment.sends.create(audience)
    resting = "SELECT count(*) FROM sending_number WHERE retry_at_us > 0"
    environment.wait(lambda: environment.database.value(resting), "the circuit breaker to open", send=send)
    environment.wait(
        lambda: not environment.progress.count_states(send).get("sending"), "the texts in flight", send=send
    )
    started, calls = time.monotonic(), len(environment.simulator.calls())
    environment.wait_for_scheduler_runs(5)
    probes = len(environment.simulator.calls()) - calls
    assert probes <= (time.monotonic() - started) / 60 + 1, f"{probes} requests with an open circuit breaker"
    assert environment.progress.count_states(send)["ready"], "every text was attempted"
    environment.simulator.set_faults()
    environment.configure()
    environment.progress.wait_until_settled(send, seconds=180)
    outcome = check_invariants(environment, send, audience.phone_numbers)
    report.add("9 nothing but 500", environment.engine, calls_until_open=calls, **outcome.figures())


@on_engines("postgresql")
def test_a_duplicate_in_twilios_list_is_reported_and_not_resent(environment: FaultEnvironment) -> None:
    """Two messages with the same link are listed: whatever created the second, there must be no third."""
    send, audience = environment.sends.prepare(1)
    (phone_number,) = audience.phone_numbers
    query = "SELECT body FROM delivery WHERE address = :number AND channel = 'sms'"
    duplicate = {"to": phone_number, "body": environment.database.value(query, number=phone_number)}
    environment.simulator.call_api("POST", "/simulator/seed", {"messages": [duplicate, duplicate]})
    environment.simulator.set_faults(rules=[{"kind": "500_before", "to": phone_number}], receipts={"drop": 1})
    environment.scale_processes()
    environment.sends.make_due(phone_number)
    environment.progress.wait_until_settled(send)
    assert len(environment.simulator.texts_to(phone_number)) == 2, delivery_timeline(environment, phone_number)
    assert environment.database.rows("SELECT 1 FROM audit_entry WHERE action = 'text_listed_twice'"), (
        "the duplicate is not reported"
    )


@on_engines("sqlite")
def test_a_text_with_a_redacted_body_is_not_sent_again(environment: FaultEnvironment) -> None:
    """A listed message without a body proves nothing: the text stays unknown (docs/reliability.md#redacted-bodies)."""
    send, audience = environment.sends.prepare(1)
    (phone_number,) = audience.phone_numbers
    fault = {"kind": "timeout_after", "seconds": 5, "to": phone_number, "count": 1}
    environment.simulator.set_faults(rules=[fault], receipts={"drop": 1, "delay_ms": 10})
    environment.scale_processes(scheduler=0)
    environment.sends.make_due(phone_number)
    environment.wait(
        lambda: [text["status"] for text in environment.simulator.texts_to(phone_number)] == ["delivered"], "the text"
    )
    _redact_body(environment, environment.simulator.texts_to(phone_number)[0]["sid"])
    environment.wait(lambda: environment.progress.state_of_text(phone_number) == "unknown", "the outcome to be unknown")
    _age_attempts_by_an_hour(environment, phone_number)
    environment.scale_processes()
    next_poll = "SELECT due_at_ms FROM delivery WHERE channel = 'sms' AND address = :number"
    environment.wait(lambda: environment.database.value(next_poll, number=phone_number), "Twilio to be polled")
    if (
        environment.progress.state_of_text(phone_number) != "unknown"
        or len(environment.simulator.texts_to(phone_number)) > 1
    ):
        raise DefectFound(delivery_timeline(environment, phone_number))
    assert environment.progress.count_states(send) == {"unknown": 1}


def _age_attempts_by_an_hour(environment: FaultEnvironment, phone_number: str) -> None:
    """Make the next poll due, at an age when Twilio's list must be complete; the poll stores when the next is due."""
    environment.database.execute(
        "UPDATE attempt SET slot_at_ms = slot_at_ms - 3600000, finished_at_ms = finished_at_ms - 3600000",
        f"UPDATE delivery SET due_at_ms = 0 WHERE channel = 'sms' AND address = '{phone_number}'",
    )


def _redact_body(environment: FaultEnvironment, sid: str) -> None:
    url = (
        f"{environment.simulator.url}/2010-04-01/Accounts/{servers.LIVE_CREDENTIALS['AccountSid']}/Messages/{sid}.json"
    )
    response = requests.post(
        url,
        data={"Body": ""},
        auth=(servers.LIVE_CREDENTIALS["AccountSid"], servers.LIVE_CREDENTIALS["AuthToken"]),
        timeout=10,
    )
    assert response.ok, response.text

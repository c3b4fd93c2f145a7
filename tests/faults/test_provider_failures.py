"""Scenarios 9 and 15: Twilio fails in every way it can, goes away, refuses us, and lists late or not at all."""

import itertools
import time

import requests

from tests.faults.support.engine_marks import on_engine_in_short_run, on_engines
from tests.faults.support.fault_environment import LONG_RUN, SETTLE_SECONDS, TIMEOUT_SECONDS, FaultEnvironment
from tests.faults.support.fault_report import FaultReport
from tests.faults.support.http_actors import AdminSession
from tests.faults.support.invariants import KnownDefect, check_invariants, delivery_timeline, measure_outcome
from tests.support import servers

_KINDS: tuple[dict[str, object], ...] = (
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
def test_every_way_in_which_twilio_fails_ends_with_one_text(environment: FaultEnvironment, report: FaultReport) -> None:
    """Each kind strikes the first try of its own numbers, each third one; receipts never come, the list is stale."""
    audience = environment.create_recipients(3 * len(_KINDS) * (10 if LONG_RUN else 1))
    struck = audience.phone_numbers[::3]
    rules = [{**kind, "to": number, "count": 1} for kind, number in zip(itertools.cycle(_KINDS), struck, strict=False)]
    stale_ms = round(SETTLE_SECONDS * 600)
    environment.simulator.set_faults(rules=rules, list_stale_ms=stale_ms, receipts={"drop": 1})
    send = environment.create_send(audience)
    environment.wait_until_settled(send)
    found = check_invariants(environment, send, audience.phone_numbers)
    assert found.attempts >= len(rules)
    report.add("9 every kind of failure", environment.engine, **found.figures())


@on_engine_in_short_run("postgresql")
def test_a_twilio_that_is_slow_but_answers_in_time_leaves_no_doubt(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    """14 of the 15 seconds that the product waits for an answer; in the tests' shorter time the same part of it."""
    audience = environment.create_recipients(30 if LONG_RUN else 10)
    environment.simulator.set_faults(latency_ms=round(TIMEOUT_SECONDS * (933 if LONG_RUN else 600)))
    send = environment.create_send(audience)
    environment.wait_until_settled(send)
    found = check_invariants(environment, send, audience.phone_numbers)
    report.add("9 slow", environment.engine, seconds_an_answer=TIMEOUT_SECONDS * 0.933, **found.figures())


@on_engine_in_short_run("sqlite")
def test_texts_wait_while_the_name_of_twilio_cannot_be_found(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    """DNS fails for the workers: nothing was sent, so nothing is in doubt, and every text goes out afterwards."""
    environment.scale_processes(sms=0)
    lost = environment.start_process("sms", PORTAL_TWILIO_API_URL="http://api.twilio.invalid")
    audience = environment.create_recipients(10)
    send = environment.create_send(audience)
    tried = """SELECT count(*) FROM attempt a JOIN delivery d ON d.id = a.delivery_id
               WHERE d.send_id = :send AND a.outcome = 'not_sent' AND d.channel = 'sms'"""
    environment.wait(lambda: environment.database.value(tried, send=send), "the first try", send=send)
    assert not environment.simulator.calls()
    environment.supervisor.stop_for_good(lost)
    assert not environment.count_states(send).get("unknown")
    assert measure_outcome(environment, send, audience.phone_numbers).unknown_outcomes == 0
    environment.scale_processes()
    environment.wait_until_settled(send)
    found = check_invariants(environment, send, audience.phone_numbers)
    report.add("9 DNS fails", environment.engine, **found.figures())


@on_engine_in_short_run("postgresql")
def test_texts_wait_while_twilio_is_away_or_refuses_us_and_burn_no_attempt(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    """Nobody listens at first; then every call is answered 401, which pauses the lane until the settings are saved."""
    visitor = AdminSession(environment)
    audience = environment.create_recipients(8)
    environment.simulator.stop()
    send = environment.create_send(audience)
    tried = "SELECT count(*) FROM attempt WHERE outcome = 'not_sent' AND sender <> ''"
    environment.wait(lambda: environment.database.value(tried), "the first try")
    environment.simulator.start()
    environment.simulator.set_faults(rules=[{"kind": "401"}])
    environment.wait(lambda: environment.is_sms_paused(), "the lane to pause", send=send)
    assert "20003" in visitor.get("/Admin/Mode").text
    calls, before = len(environment.simulator.calls()), _most_attempts(environment, send)
    environment.wait_for_scheduler_runs(3)
    assert len(environment.simulator.calls()) == calls
    environment.simulator.set_faults()
    environment.change_setting("SmsGatewayAuthentication", servers.LIVE_CREDENTIALS, force=True)
    environment.wait_until_settled(send)
    found = check_invariants(environment, send, audience.phone_numbers)
    burned = _most_attempts(environment, send)
    assert burned <= before + 2, "one is accepted; on a busy machine one more may be in doubt"
    report.add("9 away, then 401", environment.engine, most_attempts=burned, **found.figures())


def _most_attempts(stage: FaultEnvironment, send: int) -> int:
    query = "SELECT max(attempts) FROM delivery WHERE send_id = :send AND channel = 'sms'"
    return int(stage.database.value(query, send=send))


@on_engine_in_short_run("sqlite")
def test_a_provider_that_answers_only_500_is_left_alone_after_some_tries(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    """Each try during an outage is one more text in doubt: after some, one probe a minute is enough, and texts wait."""
    environment.simulator.set_faults(rules=[{"kind": "500_before"}])
    audience = environment.create_recipients(80 if LONG_RUN else 40)
    environment.configure(rate=10)
    send = environment.create_send(audience)
    rests = "SELECT count(*) FROM sending_number WHERE rests_until_us > 0"
    environment.wait(lambda: environment.database.value(rests), "the sender to rest", send=send)
    environment.wait(lambda: not environment.count_states(send).get("sending"), "what was claimed before", send=send)
    began, calls = time.monotonic(), len(environment.simulator.calls())
    environment.wait_for_scheduler_runs(5)
    more = len(environment.simulator.calls()) - calls
    assert more <= (time.monotonic() - began) / 60 + 1, f"{more} more requests to a provider that answers only 500"
    assert environment.count_states(send)["ready"], "every text was tried"
    environment.simulator.set_faults()
    environment.configure()
    environment.wait_until_settled(send, seconds=180)
    found = check_invariants(environment, send, audience.phone_numbers)
    report.add("9 nothing but 500", environment.engine, calls_until_left_alone=calls, **found.figures())


@on_engines("postgresql")
def test_a_duplicate_in_the_list_is_seen_and_nothing_is_sent_again(environment: FaultEnvironment) -> None:
    """Two hits for one link: whatever made the second one, a third must not follow."""
    send, audience = environment.prepare_send(1)
    (number,) = audience.phone_numbers
    query = "SELECT body FROM delivery WHERE address = :number AND channel = 'sms'"
    twin = {"to": number, "body": environment.database.value(query, number=number)}
    environment.simulator.call_api("POST", "/simulator/seed", {"messages": [twin, twin]})
    environment.simulator.set_faults(rules=[{"kind": "500_before", "to": number}], receipts={"drop": 1})
    environment.scale_processes()
    environment.make_due(number)
    environment.wait_until_settled(send)
    assert len(environment.simulator.texts_to(number)) == 2, delivery_timeline(environment, number)
    assert environment.database.rows("SELECT 1 FROM audit_entry WHERE action = 'text_listed_twice'"), "nobody is told"


@on_engines("sqlite")
def test_a_text_that_the_account_redacts_is_not_sent_again(environment: FaultEnvironment) -> None:
    """A listed message without a body proves nothing: the text stays unknown (docs/reliability.md#redacted-bodies)."""
    send, audience = environment.prepare_send(1)
    (number,) = audience.phone_numbers
    lost = {"kind": "timeout_after", "seconds": 5, "to": number, "count": 1}
    environment.simulator.set_faults(rules=[lost], receipts={"drop": 1, "delay_ms": 10})
    environment.scale_processes(scheduler=0)
    environment.make_due(number)
    environment.wait(
        lambda: [text["status"] for text in environment.simulator.texts_to(number)] == ["delivered"], "the text"
    )
    _redact(environment, environment.simulator.texts_to(number)[0]["sid"])
    environment.wait(lambda: environment.state(number) == "unknown", "the doubt")
    _age_attempts_by_an_hour(environment, number)
    environment.scale_processes()
    next_look = "SELECT next_at_ms FROM delivery WHERE channel = 'sms' AND address = :number"
    environment.wait(lambda: environment.database.value(next_look, number=number), "Twilio to be asked")
    if environment.state(number) != "unknown" or len(environment.simulator.texts_to(number)) > 1:
        raise KnownDefect(delivery_timeline(environment, number))
    assert environment.count_states(send) == {"unknown": 1}


def _age_attempts_by_an_hour(stage: FaultEnvironment, number: str) -> None:
    """Twilio's list cannot be late any more; the next look is due, which notes when the one after that will be."""
    stage.database.execute(
        "UPDATE attempt SET slot_at_ms = slot_at_ms - 3600000, finished_at_ms = finished_at_ms - 3600000",
        f"UPDATE delivery SET next_at_ms = 0 WHERE channel = 'sms' AND address = '{number}'",
    )


def _redact(stage: FaultEnvironment, sid: str) -> None:
    url = f"{stage.simulator.url}/2010-04-01/Accounts/{servers.LIVE_CREDENTIALS['AccountSid']}/Messages/{sid}.json"
    answer = requests.post(
        url,
        data={"Body": ""},
        auth=(servers.LIVE_CREDENTIALS["AccountSid"], servers.LIVE_CREDENTIALS["AuthToken"]),
        timeout=10,
    )
    assert answer.ok, answer.text

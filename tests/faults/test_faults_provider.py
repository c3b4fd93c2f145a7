"""Scenarios 9 and 15: Twilio fails in every way it can, goes away, refuses us, and lists late or not at all."""

import itertools
import time

import parts
import requests
from fault_engines import on, turn_of
from fault_oracle import Defect, judge, look, story
from fault_report import Report
from fault_stage import LONG, SETTLE_SECONDS, TIMEOUT_SECONDS, Stage
from fault_visitor import Visitor

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


@turn_of("sqlite")
def test_every_way_in_which_twilio_fails_ends_with_one_text(stage: Stage, report: Report) -> None:
    """Each kind strikes the first try of its own numbers, each third one; receipts never come, the list is stale."""
    audience = stage.people(3 * len(_KINDS) * (10 if LONG else 1))
    struck = audience.numbers[::3]
    rules = [{**kind, "to": number, "count": 1} for kind, number in zip(itertools.cycle(_KINDS), struck, strict=False)]
    stale_ms = round(SETTLE_SECONDS * 600)
    stage.outside.faults(rules=rules, list_stale_ms=stale_ms, receipts={"drop": 1})
    send = stage.send(audience)
    stage.settled(send)
    found = judge(stage, send, audience.numbers)
    assert found.attempts >= len(rules)
    report.add("9 every kind of failure", stage.engine, **found.figures())


@turn_of("postgresql")
def test_a_twilio_that_is_slow_but_answers_in_time_leaves_no_doubt(stage: Stage, report: Report) -> None:
    """14 of the 15 seconds that the product waits for an answer; in the tests' shorter time the same part of it."""
    audience = stage.people(30 if LONG else 10)
    stage.outside.faults(latency_ms=round(TIMEOUT_SECONDS * (933 if LONG else 600)))
    send = stage.send(audience)
    stage.settled(send)
    found = judge(stage, send, audience.numbers)
    report.add("9 slow", stage.engine, seconds_an_answer=TIMEOUT_SECONDS * 0.933, **found.figures())


@turn_of("sqlite")
def test_texts_wait_while_the_name_of_twilio_cannot_be_found(stage: Stage, report: Report) -> None:
    """DNS fails for the workers: nothing was sent, so nothing is in doubt, and every text goes out afterwards."""
    stage.crew(sms=0)
    lost = stage.start("sms", PORTAL_TWILIO_API_URL="http://api.twilio.invalid")
    audience = stage.people(10)
    send = stage.send(audience)
    tried = """SELECT count(*) FROM attempt a JOIN delivery d ON d.id = a.delivery_id
               WHERE d.send_id = :send AND a.outcome = 'not_processed' AND d.channel = 'sms'"""
    stage.wait(lambda: stage.database.value(tried, send=send), "the first try", send=send)
    assert not stage.outside.calls()
    stage.keeper.dismiss(lost)
    assert not stage.states(send).get("unknown")
    assert look(stage, send, audience.numbers).in_doubt == 0
    stage.crew()
    stage.settled(send)
    found = judge(stage, send, audience.numbers)
    report.add("9 DNS fails", stage.engine, **found.figures())


@turn_of("postgresql")
def test_texts_wait_while_twilio_is_away_or_refuses_us_and_burn_no_attempt(stage: Stage, report: Report) -> None:
    """Nobody listens at first; then every call is answered 401, which pauses the lane until the settings are saved."""
    visitor = Visitor(stage)
    audience = stage.people(8)
    stage.outside.stop()
    send = stage.send(audience)
    tried = "SELECT count(*) FROM attempt WHERE outcome = 'not_processed' AND sender <> ''"
    stage.wait(lambda: stage.database.value(tried), "the first try")
    stage.outside.start()
    stage.outside.faults(rules=[{"kind": "401"}])
    stage.wait(lambda: stage.paused(), "the lane to pause", send=send)
    assert "20003" in visitor.get("/Admin/Mode").text
    calls, before = len(stage.outside.calls()), _most_attempts(stage, send)
    stage.sweeps(3)
    assert len(stage.outside.calls()) == calls
    stage.outside.faults()
    stage.setting("SmsGatewayAuthentication", parts.LIVE, again=True)
    stage.settled(send)
    found = judge(stage, send, audience.numbers)
    burned = _most_attempts(stage, send)
    assert burned <= before + 2, "one is accepted; on a busy machine one more may be in doubt"
    report.add("9 away, then 401", stage.engine, most_attempts=burned, **found.figures())


def _most_attempts(stage: Stage, send: int) -> int:
    query = "SELECT max(attempts) FROM delivery WHERE send_id = :send AND channel = 'sms'"
    return int(stage.database.value(query, send=send))


@turn_of("sqlite")
def test_a_provider_that_answers_only_500_is_left_alone_after_some_tries(stage: Stage, report: Report) -> None:
    """Each try during an outage is one more text in doubt: after some, one probe a minute is enough, and texts wait."""
    stage.outside.faults(rules=[{"kind": "500_before"}])
    audience = stage.people(80 if LONG else 40)
    stage.configure(rate=10)
    send = stage.send(audience)
    rests = "SELECT count(*) FROM sender WHERE rests_until_us > 0"
    stage.wait(lambda: stage.database.value(rests), "the sender to rest", send=send)
    stage.wait(lambda: not stage.states(send).get("sending"), "what was claimed before", send=send)
    began, calls = time.monotonic(), len(stage.outside.calls())
    stage.sweeps(5)
    more = len(stage.outside.calls()) - calls
    assert more <= (time.monotonic() - began) / 60 + 1, f"{more} more requests to a provider that answers only 500"
    assert stage.states(send)["ready"], "every text was tried"
    stage.outside.faults()
    stage.configure()
    stage.settled(send, seconds=180)
    found = judge(stage, send, audience.numbers)
    report.add("9 nothing but 500", stage.engine, calls_until_left_alone=calls, **found.figures())


@on("postgresql")
def test_a_duplicate_in_the_list_is_seen_and_nothing_is_sent_again(stage: Stage) -> None:
    """Two hits for one link: whatever made the second one, a third must not follow."""
    send, audience = stage.prepared(1)
    (number,) = audience.numbers
    query = "SELECT body FROM delivery WHERE address = :number AND channel = 'sms'"
    twin = {"to": number, "body": stage.database.value(query, number=number)}
    stage.outside.send("POST", "/simulator/seed", {"messages": [twin, twin]})
    stage.outside.faults(rules=[{"kind": "500_before", "to": number}], receipts={"drop": 1})
    stage.crew()
    stage.release(number)
    stage.settled(send)
    assert len(stage.outside.texts_to(number)) == 2, story(stage, number)
    assert stage.database.rows("SELECT 1 FROM audit_entry WHERE action = 'text_listed_twice'"), "nobody is told"


@on("sqlite")
def test_a_text_that_the_account_redacts_is_not_sent_again(stage: Stage) -> None:
    """A listed message without a body proves nothing: the text stays unknown (docs/reliability.md#redacted-bodies)."""
    send, audience = stage.prepared(1)
    (number,) = audience.numbers
    lost = {"kind": "timeout_after", "seconds": 5, "to": number, "count": 1}
    stage.outside.faults(rules=[lost], receipts={"drop": 1, "delay_ms": 10})
    stage.crew(scheduler=0)
    stage.release(number)
    stage.wait(lambda: [text["status"] for text in stage.outside.texts_to(number)] == ["delivered"], "the text")
    _redact(stage, stage.outside.texts_to(number)[0]["sid"])
    stage.wait(lambda: stage.state(number) == "unknown", "the doubt")
    _an_hour_passes(stage, number)
    stage.crew()
    next_look = "SELECT next_at_ms FROM delivery WHERE channel = 'sms' AND address = :number"
    stage.wait(lambda: stage.database.value(next_look, number=number), "Twilio to be asked")
    if stage.state(number) != "unknown" or len(stage.outside.texts_to(number)) > 1:
        raise Defect(story(stage, number))
    assert stage.states(send) == {"unknown": 1}


def _an_hour_passes(stage: Stage, number: str) -> None:
    """Twilio's list cannot be late any more; the next look is due, which notes when the one after that will be."""
    stage.database.execute(
        "UPDATE attempt SET slot_at_ms = slot_at_ms - 3600000, finished_at_ms = finished_at_ms - 3600000",
        f"UPDATE delivery SET next_at_ms = 0 WHERE channel = 'sms' AND address = '{number}'",
    )


def _redact(stage: Stage, sid: str) -> None:
    url = f"{stage.outside.url}/2010-04-01/Accounts/{parts.LIVE['AccountSid']}/Messages/{sid}.json"
    answer = requests.post(url, data={"Body": ""}, auth=(parts.LIVE["AccountSid"], parts.LIVE["AuthToken"]), timeout=10)
    assert answer.ok, answer.text

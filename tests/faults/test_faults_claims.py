"""Scenarios 13, 16 and 17: many workers after one text, very many recipients, one message that poisons a batch."""

import time

from fault_engines import on, turn_of
from fault_oracle import check_mails, judge
from fault_report import Report
from fault_stage import LONG, Stage, now_ms
from fault_visitor import Visitor

ROUNDS = 500 if LONG else 12
RECIPIENTS = 100_000 if LONG else 400


@turn_of("sqlite")
def test_of_eight_workers_that_are_rung_at_once_one_claims_the_text(stage: Stage, report: Report) -> None:
    send, audience = stage.prepared(ROUNDS)
    stage.crew(sms=8)
    stage.configure(rate=1000)
    stage.idle()
    for number in audience.numbers:
        stage.release(number, ring=False)
        stage.ring(times=8)
        stage.wait(lambda number=number: stage.state(number) not in ("ready", "sending"), "the text", send=send)
    stage.settled(send)
    found = judge(stage, send, audience.numbers)
    report.add("13 eight workers, one text", stage.engine, rounds=ROUNDS, **found.figures())


@on("sqlite")
def test_a_send_to_very_many_leaves_the_pages_quick_and_obeys_at_once(stage: Stage, report: Report) -> None:
    """In the short form too few to judge the pages by, and how quick they are is for `make bench` to say; every
    communication has its one mail all the same.

    Then it is paused and cancelled while texts leave: nothing that was not under way leaves afterwards.
    """
    visitor = Visitor(stage)
    audience = stage.people(RECIPIENTS)
    began = time.monotonic()
    send = stage.send(audience)
    state = "SELECT state FROM send WHERE id = :send"
    while stage.database.value(state, send=send) in ("queued", "expanding"):
        for page in ("/Admin/Sends", f"/Admin/Sends/{send}", "/Admin/Communications"):
            assert visitor.get(page).status_code == 200
        time.sleep(0.05)
        assert time.monotonic() < began + 600, stage.states(send)
    seconds = time.monotonic() - began
    quick = sorted(visitor.seconds)[int(len(visitor.seconds) * 0.95)]
    per_communication = """SELECT count(*), count(DISTINCT communication_id) FROM delivery
                           WHERE send_id = :send AND channel = 'email'"""
    assert tuple(stage.database.rows(per_communication, send=send)[0]) == (RECIPIENTS, RECIPIENTS)
    stage.texts_leave(20, "the first texts", send=send)
    paused = _seconds_until_quiet(stage, "pause", send)
    stage.portal("sends", "resume", str(send))
    texts = stage.outside.count()
    stage.texts_leave(texts + 20, "texts after the pause", send=send)
    cancelled = _seconds_until_quiet(stage, "cancel", send)
    stage.wait(lambda: not {"ready", "held", "sending", "unknown"} & set(stage.states(send)), "all to be cancelled",
               120, send)  # fmt: skip
    report.add("16 very many recipients", stage.engine, recipients=RECIPIENTS, expanded_s=seconds,
               pages=len(visitor.seconds), pages_p95_s=quick, paused_after_s=paused,
               cancelled_after_s=cancelled)  # fmt: skip
    assert max(paused, cancelled) < (5 if LONG else 15), (paused, cancelled)
    assert not LONG or quick < 1


def _seconds_until_quiet(stage: Stage, order: str, send: int) -> float:
    """From the moment the order was given to the last request that Twilio got, by the simulator's log."""
    stage.portal("sends", order, str(send))
    began = now_ms()
    while now_ms() < began + 17_000 and any(call["at_ms"] > now_ms() - 1_500 for call in stage.outside.calls()):
        time.sleep(0.1)
    return max(0, max(call["at_ms"] for call in stage.outside.calls()) - began) / 1000


@turn_of("postgresql")
def test_one_message_that_cannot_be_made_or_sent_holds_up_none_of_the_others(stage: Stage, report: Report) -> None:
    """A template that fails for one account, a subject of 1,700 characters, and a number that Twilio refuses."""
    audience = stage.people(1_000 if LONG else 12)
    broken, long = audience.places[:2]
    key = f"poison-{broken}"
    fails = f"{{% if external_id == '{broken}' %}}{{{{ 1 | divided_by: 0 }}}}{{% endif %}}"
    tall = f"{{% if external_id == '{long}' %}}{{% for n in (1..170) %}}very long {{% endfor %}}{{% endif %}}"
    stage.template(key, f"{tall}Due for {{{{ name }}}}{fails}", "Dear {{ name }}.")
    stage.outside.faults(rules=[{"kind": "reject", "code": 21614, "to": audience.numbers[2]}])
    send = stage.send(audience, key)
    stage.settled(send)
    states = stage.states(send)
    report.add("17 poison", stage.engine, **states)
    assert stage.state(audience.numbers[2]) == "rejected"
    assert len(stage.outside.texts_to(audience.numbers[1])) == 1
    assert states["delivered"] >= len(audience.places) - 2
    check_mails(stage, send, refused=1)

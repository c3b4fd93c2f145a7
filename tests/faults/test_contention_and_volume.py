"""Scenarios 13, 16 and 17: many workers after one text, very many recipients, one message that poisons a batch."""

import time

from tests.faults.support.engine_marks import on_engine_in_short_run, on_engines
from tests.faults.support.fault_environment import LONG_RUN, FaultEnvironment, now_ms
from tests.faults.support.fault_report import FaultReport
from tests.faults.support.http_actors import AdminSession
from tests.faults.support.invariants import check_emails, check_invariants

ROUNDS = 500 if LONG_RUN else 12
RECIPIENTS = 100_000 if LONG_RUN else 400


@on_engine_in_short_run("sqlite")
def test_of_eight_workers_that_are_rung_at_once_one_claims_the_text(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    send, audience = environment.prepare_send(ROUNDS)
    environment.scale_processes(sms=8)
    environment.configure(rate=1000)
    environment.wait_until_idle()
    for number in audience.phone_numbers:
        environment.make_due(number, wake=False)
        environment.enqueue_drain_jobs(times=8)
        environment.wait(
            lambda number=number: environment.state(number) not in ("ready", "sending"), "the text", send=send
        )
    environment.wait_until_settled(send)
    found = check_invariants(environment, send, audience.phone_numbers)
    report.add("13 eight workers, one text", environment.engine, rounds=ROUNDS, **found.figures())


@on_engines("sqlite")
def test_a_send_to_very_many_leaves_the_pages_quick_and_obeys_at_once(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    """In the short form too few to judge the pages by, and how quick they are is for `make bench` to say; every
    communication has its one mail all the same.

    Then it is paused and cancelled while texts leave: nothing that was not under way leaves afterwards.
    """
    visitor = AdminSession(environment)
    audience = environment.create_recipients(RECIPIENTS)
    began = time.monotonic()
    send = environment.create_send(audience)
    state = "SELECT state FROM send WHERE id = :send"
    while environment.database.value(state, send=send) in ("queued", "fanning_out"):
        for page in ("/Admin/Sends", f"/Admin/Sends/{send}", "/Admin/Communications"):
            assert visitor.get(page).status_code == 200
        time.sleep(0.05)
        assert time.monotonic() < began + 600, environment.count_states(send)
    seconds = time.monotonic() - began
    quick = sorted(visitor.response_seconds)[int(len(visitor.response_seconds) * 0.95)]
    per_communication = """SELECT count(*), count(DISTINCT communication_id) FROM delivery
                           WHERE send_id = :send AND channel = 'email'"""
    assert tuple(environment.database.rows(per_communication, send=send)[0]) == (RECIPIENTS, RECIPIENTS)
    environment.wait_for_texts(20, "the first texts", send=send)
    paused = _seconds_until_no_requests(environment, "pause", send)
    environment.run_portal_command("sends", "resume", str(send))
    texts = environment.simulator.count_texts()
    environment.wait_for_texts(texts + 20, "texts after the pause", send=send)
    cancelled = _seconds_until_no_requests(environment, "cancel", send)
    environment.wait(lambda: not {"ready", "paused", "sending", "unknown"} & set(environment.count_states(send)), "all to be cancelled",
               120, send)  # fmt: skip
    report.add("16 very many recipients", environment.engine, recipients=RECIPIENTS, expanded_s=seconds,
               pages=len(visitor.response_seconds), pages_p95_s=quick, paused_after_s=paused,
               cancelled_after_s=cancelled)  # fmt: skip
    assert max(paused, cancelled) < (5 if LONG_RUN else 15), (paused, cancelled)
    assert not LONG_RUN or quick < 1


def _seconds_until_no_requests(stage: FaultEnvironment, order: str, send: int) -> float:
    """From the moment the order was given to the last request that Twilio got, by the simulator's log."""
    stage.run_portal_command("sends", order, str(send))
    began = now_ms()
    while now_ms() < began + 17_000 and any(call["at_ms"] > now_ms() - 1_500 for call in stage.simulator.calls()):
        time.sleep(0.1)
    return max(0, max(call["at_ms"] for call in stage.simulator.calls()) - began) / 1000


@on_engine_in_short_run("postgresql")
def test_one_message_that_cannot_be_made_or_sent_holds_up_none_of_the_others(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    """A template that fails for one account, a subject of 1,700 characters, and a number that Twilio refuses."""
    audience = environment.create_recipients(1_000 if LONG_RUN else 12)
    broken, long = audience.indexes[:2]
    key = f"poison-{broken}"
    fails = f"{{% if external_id == '{broken}' %}}{{{{ 1 | divided_by: 0 }}}}{{% endif %}}"
    tall = f"{{% if external_id == '{long}' %}}{{% for n in (1..170) %}}very long {{% endfor %}}{{% endif %}}"
    environment.add_template(key, f"{tall}Due for {{{{ name }}}}{fails}", "Dear {{ name }}.")
    environment.simulator.set_faults(rules=[{"kind": "reject", "code": 21614, "to": audience.phone_numbers[2]}])
    send = environment.create_send(audience, key)
    environment.wait_until_settled(send)
    states = environment.count_states(send)
    report.add("17 poison", environment.engine, **states)
    assert environment.state(audience.phone_numbers[2]) == "rejected"
    assert len(environment.simulator.texts_to(audience.phone_numbers[1])) == 1
    assert states["delivered"] >= len(audience.indexes) - 2
    check_emails(environment, send, refused=1)

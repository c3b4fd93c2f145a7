"""Scenarios 13, 16 and 17: many workers for one text, very many recipients, and messages that cannot be sent."""

import time
from functools import partial

from tests.faults.support.engine_marks import on_engine_in_short_run, on_engines
from tests.faults.support.fault_environment import FaultEnvironment
from tests.faults.support.fault_report import FaultReport
from tests.faults.support.http_actors import AdminSession
from tests.faults.support.invariants import check_emails, check_invariants
from tests.faults.support.timing import LONG_RUN, now_ms

ROUNDS = 500 if LONG_RUN else 12
RECIPIENTS = 100_000 if LONG_RUN else 400


@on_engine_in_short_run("sqlite")
def test_eight_workers_woken_at_once_send_a_text_once(environment: FaultEnvironment, report: FaultReport) -> None:
    send, audience = environment.sends.prepare(ROUNDS)
    environment.scale_processes(sms=8)
    environment.configure(rate=1000)
    environment.wait_until_idle()
    for phone_number in audience.phone_numbers:
        environment.sends.make_due(phone_number, wake=False)
        environment.sends.enqueue_drain_jobs(times=8)
        environment.wait(
            partial(_has_left, environment, phone_number),
            "the text",
            send=send,
        )
    environment.progress.wait_until_settled(send)
    outcome = check_invariants(environment, send, audience.phone_numbers)
    report.add("13 eight workers, one text", environment.engine, rounds=ROUNDS, **outcome.figures())


def _has_left(environment: FaultEnvironment, phone_number: str) -> bool:
    return environment.progress.state_of_text(phone_number) not in ("ready", "sending")


@on_engines("sqlite")
def test_a_very_large_send_can_be_watched_paused_and_cancelled(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    """Pages work during fan-out, and each recipient has one email. After pause or cancel no new request starts.

    Page load times count only in the long form; `make bench` measures them properly.
    """
    admin = AdminSession(environment)
    audience = environment.sends.create_recipients(RECIPIENTS)
    started = time.monotonic()
    send = environment.sends.create(audience)
    state = "SELECT state FROM send WHERE id = :send"
    while environment.database.value(state, send=send) in ("queued", "fanning_out"):
        for page in ("/Admin/Sends", f"/Admin/Sends/{send}", "/Admin/Communications"):
            assert admin.get(page).status_code == 200
        time.sleep(0.05)
        assert time.monotonic() < started + 600, environment.progress.count_states(send)
    seconds = time.monotonic() - started
    p95_seconds = sorted(admin.response_seconds)[int(len(admin.response_seconds) * 0.95)]
    per_communication = """SELECT count(*), count(DISTINCT communication_id) FROM delivery
                           WHERE send_id = :send AND channel = 'email'"""
    assert tuple(environment.database.rows(per_communication, send=send)[0]) == (RECIPIENTS, RECIPIENTS)
    environment.progress.wait_for_texts(20, "the first texts", send=send)
    paused = _seconds_until_no_requests(environment, "pause", send)
    environment.run_portal_command("sends", "resume", str(send))
    texts = environment.simulator.count_texts()
    environment.progress.wait_for_texts(texts + 20, "texts after the pause", send=send)
    cancelled = _seconds_until_no_requests(environment, "cancel", send)
    unfinished = {"ready", "paused", "sending", "unknown"}
    environment.wait(
        lambda: not unfinished & set(environment.progress.count_states(send)), "every text to be cancelled", 120, send
    )
    report.add("16 very many recipients", environment.engine, recipients=RECIPIENTS, fan_out_s=seconds,
               pages=len(admin.response_seconds), pages_p95_s=p95_seconds, paused_after_s=paused,
               cancelled_after_s=cancelled)  # fmt: skip
    assert max(paused, cancelled) < (5 if LONG_RUN else 15), (paused, cancelled)
    assert not LONG_RUN or p95_seconds < 1


def _seconds_until_no_requests(environment: FaultEnvironment, command: str, send: int) -> float:
    """Run `portal sends COMMAND`; returns the seconds until the last request that the simulator received."""
    environment.run_portal_command("sends", command, str(send))
    started_ms = now_ms()
    while now_ms() < started_ms + 17_000 and any(
        call["at_ms"] > now_ms() - 1_500 for call in environment.simulator.calls()
    ):
        time.sleep(0.1)
    last_ms = max(int(call["at_ms"]) for call in environment.simulator.calls())
    return max(0, last_ms - started_ms) / 1000


@on_engine_in_short_run("postgresql")
def test_a_message_that_cannot_be_sent_does_not_block_the_others(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    """A template that fails for one account, a subject of 1,700 characters, and a number that Twilio refuses."""
    audience = environment.sends.create_recipients(1_000 if LONG_RUN else 12)
    failing, long = audience.indexes[:2]
    key = f"failing-{failing}"
    error = f"{{% if external_id == '{failing}' %}}{{{{ 1 | divided_by: 0 }}}}{{% endif %}}"
    padding = f"{{% if external_id == '{long}' %}}{{% for n in (1..170) %}}very long {{% endfor %}}{{% endif %}}"
    environment.add_template(key, f"{padding}Due for {{{{ name }}}}{error}", "Dear {{ name }}.")
    environment.simulator.set_faults(rules=[{"kind": "reject", "code": 21614, "to": audience.phone_numbers[2]}])
    send = environment.sends.create(audience, key)
    environment.progress.wait_until_settled(send)
    states = environment.progress.count_states(send)
    report.add("17 messages that cannot be sent", environment.engine, **states)
    assert environment.progress.state_of_text(audience.phone_numbers[2]) == "rejected"
    assert len(environment.simulator.texts_to(audience.phone_numbers[1])) == 1
    assert states["delivered"] >= len(audience.indexes) - 2
    check_emails(environment, send, rejected=1)

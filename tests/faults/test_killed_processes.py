"""Scenarios 1 to 4: processes are killed at random and at critical moments, frozen, and restarted."""

import contextlib
import itertools
import random
import signal
import time
from collections.abc import Callable, Iterator

from tests.faults.support.engine_marks import FAULT_ENGINES, on_engine_in_short_run, on_engines
from tests.faults.support.fault_environment import FaultEnvironment
from tests.faults.support.fault_report import FaultReport
from tests.faults.support.invariants import check_invariants, check_ledger
from tests.faults.support.supervised_processes import SupervisedProcess
from tests.faults.support.timing import LONG_RUN, MissedTiming, now_ms, require_timing

TEXTS, KILLS = (3_000, 100) if LONG_RUN else (60, 5)
_FAULT_RULES = [
    {"kind": "429", "probability": 0.05},
    {"kind": "500_before", "probability": 0.05},
    {"kind": "500_after", "probability": 0.06},
    {"kind": "timeout_after", "probability": 0.08, "seconds": 5},
]


@on_engines(*FAULT_ENGINES)
def test_processes_killed_at_random_send_every_text_once(environment: FaultEnvironment, report: FaultReport) -> None:
    randomness = environment.seeded_random("kills")
    audience = environment.sends.create_recipients(TEXTS)
    environment.simulator.set_faults(
        seed=randomness.randrange(1000), rules=_FAULT_RULES, list_stale_ms=600, receipts={"drop": 0.2}
    )
    started = time.monotonic()
    send = environment.sends.create(audience)
    killed = _kill_at_random(environment, send, randomness)
    environment.progress.wait_until_settled(send, seconds=300)
    seconds = time.monotonic() - started
    outcome = check_invariants(environment, send, audience.phone_numbers)
    check_ledger(environment)
    report.add("1 kill -9", environment.engine, kills=killed, seconds=seconds, **outcome.figures())


def _kill_at_random(environment: FaultEnvironment, send: int, randomness: random.Random) -> int:
    """Spread the kills over the progress of the send, so that all happen while texts leave; returns their count."""
    for kill in range(1, KILLS + 1):
        threshold, deadline = TEXTS * kill / (KILLS + 1), time.monotonic() + 2
        while _count_sent(environment, send) < threshold and time.monotonic() < deadline:
            time.sleep(0.02)
        victims = [*environment.supervisor.all_running(), None]
        victim = randomness.choice(victims)
        if victim is None:
            environment.valkey.stop()
            environment.valkey.start()
        else:
            environment.supervisor.signal_group(victim)
    return KILLS


def _count_sent(environment: FaultEnvironment, send: int) -> int:
    states = environment.progress.count_states(send)
    return sum(count for state, count in states.items() if state not in ("ready", "sending"))


@on_engine_in_short_run("postgresql")
def test_a_worker_killed_at_five_critical_moments_loses_nothing(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    """Before the claim, between claim and request, during the request, before the result is recorded, and after."""
    send, audience = environment.sends.prepare((8 if LONG_RUN else 6) * len(_MOMENTS))
    phone_numbers = iter(audience.phone_numbers)
    environment.scale_processes(sms=1)
    environment.simulator.set_faults(latency_ms=400, receipts={"drop": 1})
    killed = [_kill_at(moment, environment, phone_numbers) for moment in _MOMENTS]
    environment.simulator.set_faults(receipts={"drop": 1})
    for phone_number in phone_numbers:
        environment.sends.make_due(phone_number)
    environment.progress.wait_until_settled(send)
    outcome = check_invariants(environment, send, audience.phone_numbers)
    report.add(
        "2 kill -9 at five points",
        environment.engine,
        seconds=_slowest_recovery_seconds(environment, killed),
        **outcome.figures(),
    )


def _kill_at(
    moment: Callable[[FaultEnvironment, str], None], environment: FaultEnvironment, phone_numbers: Iterator[str]
) -> tuple[str, int]:
    """Kill the worker; returns the phone number and the time. Retries with the next text if the moment has passed."""
    for phone_number in itertools.islice(phone_numbers, 7):
        environment.wait_until_idle()
        with contextlib.suppress(MissedTiming):
            moment(environment, phone_number)
            return phone_number, now_ms()
    raise AssertionError(f"seven times too late for '{moment.__name__}' on {environment.engine}")


def _before_the_claim(environment: FaultEnvironment, phone_number: str) -> None:
    make_due = f"UPDATE delivery SET due_at_ms = {now_ms()} WHERE address = '{phone_number}' AND state = 'ready'"
    with environment.database.locked(make_due):
        environment.sends.enqueue_drain_jobs()
        environment.wait_until_busy()
        _kill_sms_workers(environment)
    require_timing(environment.progress.state_of_text(phone_number) == "ready")


def _between_claim_and_request(environment: FaultEnvironment, phone_number: str) -> None:
    environment.database.execute("UPDATE sending_number SET next_free_at_us = :soon", soon=(now_ms() + 700) * 1000)
    environment.sends.make_due(phone_number)
    environment.wait(lambda: environment.progress.state_of_text(phone_number) == "sending", "the claim")
    _kill_sms_workers(environment)
    require_timing(not environment.simulator.calls(to=phone_number))


def _during_the_request(environment: FaultEnvironment, phone_number: str) -> None:
    environment.sends.make_due(phone_number)
    environment.wait(lambda: environment.simulator.calls(to=phone_number), "the request")
    _kill_sms_workers(environment)
    require_timing(not environment.simulator.texts_to(phone_number))


def _before_the_record(environment: FaultEnvironment, phone_number: str) -> None:
    environment.sends.make_due(phone_number)
    environment.wait(lambda: environment.simulator.calls(to=phone_number), "the request")
    with environment.database.locked():
        environment.wait(lambda: environment.simulator.calls(to=phone_number)[0]["status"] == 201, "the response")
        _kill_sms_workers(environment)
    require_timing(environment.progress.state_of_text(phone_number) == "sending")


def _after_the_record(environment: FaultEnvironment, phone_number: str) -> None:
    environment.sends.make_due(phone_number)
    environment.wait(lambda: environment.progress.state_of_text(phone_number) == "accepted", "the record")
    _kill_sms_workers(environment)


_MOMENTS = (
    _before_the_claim,
    _between_claim_and_request,
    _during_the_request,
    _before_the_record,
    _after_the_record,
)


def _kill_sms_workers(environment: FaultEnvironment) -> None:
    for worker in environment.supervisor.with_name("sms"):
        environment.supervisor.signal_group(worker)


def _slowest_recovery_seconds(environment: FaultEnvironment, killed: list[tuple[str, int]]) -> float:
    """The longest time from a kill until the text was known to be accepted."""
    query = """SELECT max(j.at_ms) FROM faults_journal j JOIN delivery d ON d.id = j.delivery_id
               WHERE d.address = :number AND d.channel = 'sms' AND j.new = 'accepted'"""
    return max((int(environment.database.value(query, number=number)) - at_ms) / 1000 for number, at_ms in killed)


@on_engine_in_short_run("sqlite")
def test_the_next_worker_resumes_an_interrupted_fan_out(environment: FaultEnvironment, report: FaultReport) -> None:
    """RQ still believes the job to be running, so the restarted worker must poll the database."""
    audience = environment.sends.create_recipients(30 if LONG_RUN else 10)
    environment.wait_until_idle("work")
    (worker,) = environment.supervisor.with_name("work")
    environment.supervisor.signal_group(worker, signal.SIGSTOP)
    send = environment.sends.create(audience)
    with environment.database.locked():
        environment.supervisor.signal_group(worker, signal.SIGCONT)
        environment.wait_until_busy("work")
        environment.supervisor.signal_group(worker)
    started = time.monotonic()
    environment.progress.wait_for_texts(1, "the first text", send=send)
    seconds = time.monotonic() - started
    environment.progress.wait_until_settled(send)
    outcome = check_invariants(environment, send, audience.phone_numbers)
    report.add(
        "2 kill -9 during fan-out", environment.engine, seconds_until_the_first_text=seconds, **outcome.figures()
    )


@on_engine_in_short_run("postgresql")
def test_a_worker_frozen_past_its_lease_sends_nothing_on_resume(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    """Frozen during one request and before another; meanwhile another worker resolves both texts."""
    send, audience = environment.sends.prepare(20)
    environment.configure(rate=3)
    environment.scale_processes(sms=1)
    environment.simulator.set_faults(latency_ms=400, receipts={"drop": 1})
    (worker,) = environment.supervisor.with_name("sms")
    pairs = zip(audience.phone_numbers[::2], audience.phone_numbers[1::2], strict=True)
    assert any(_freeze_between_claim_and_request(environment, worker, *pair) for pair in pairs), (
        "each attempt froze the worker too late"
    )
    environment.simulator.set_faults(receipts={"drop": 1})
    for phone_number in audience.phone_numbers:
        environment.sends.make_due(phone_number, wake=False)
    environment.configure()
    environment.scale_processes(sms=2)
    environment.progress.wait_until_settled(send)
    environment.supervisor.signal_group(worker, signal.SIGCONT)
    (code,) = environment.supervisor.stop_for_good(worker)
    assert code == 0
    outcome = check_invariants(environment, send, audience.phone_numbers)
    report.add("3 frozen past the lease", environment.engine, **outcome.figures())


def _freeze_between_claim_and_request(
    environment: FaultEnvironment, worker: SupervisedProcess, in_flight: str, claimed: str
) -> bool:
    """Freeze with one text in flight and the next claimed; False if the moment has passed and the worker continues."""
    environment.wait_until_idle()
    environment.sends.make_due(in_flight, wake=False)
    environment.sends.make_due(claimed)
    environment.wait(lambda: environment.simulator.calls(to=in_flight), "the first request")
    environment.supervisor.signal_group(worker, signal.SIGSTOP)
    in_time = environment.progress.state_of_text(claimed) == "sending" and not environment.simulator.calls(to=claimed)
    if not in_time:
        environment.supervisor.signal_group(worker, signal.SIGCONT)
    return in_time


@on_engine_in_short_run("sqlite")
def test_a_rolling_restart_of_workers_leaves_no_unknown_outcome(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    """As in a deployment: the new worker starts, then the old one's process group gets SIGTERM."""
    environment.scale_processes(sms=0)
    if not LONG_RUN:
        environment.configure(rate=20)
    audience = environment.sends.create_recipients(500 if LONG_RUN else 80)
    workers = [environment.start_process("sms", **_LONG_TIMEOUTS) for _ in range(4)]
    send = environment.sends.create(audience)
    stop_seconds: list[float] = []
    for position, worker in enumerate(workers, start=1):
        environment.progress.wait_for_texts((20 if LONG_RUN else 10) * position, "texts to leave", send=send)
        environment.start_process("sms", **_LONG_TIMEOUTS)
        started = time.monotonic()
        assert environment.supervisor.stop_for_good(worker) == [0]
        stop_seconds.append(time.monotonic() - started)
    environment.progress.wait_until_settled(send)
    outcome = check_invariants(environment, send, audience.phone_numbers)
    assert max(stop_seconds) < 60
    assert _count_unrecorded_attempts(environment, send) == 0
    environment.supervisor.stop_for_good(*environment.supervisor.with_name("sms"))
    report.add(
        "4 rolling restart of four workers", environment.engine, longest_stop_s=max(stop_seconds), **outcome.figures()
    )


@on_engine_in_short_run("sqlite")
def test_a_graceful_stop_records_every_result(environment: FaultEnvironment, report: FaultReport) -> None:
    """Although the database is locked, Valkey is down and SIGTERM comes twice; for texts and emails."""
    send, audience = environment.sends.prepare(4)
    environment.scale_processes(sms=0, email=0)
    environment.simulator.set_faults(latency_ms=600, receipts={"drop": 1})
    workers = [environment.start_process("sms", **_LONG_TIMEOUTS), environment.start_process("email")]
    environment.wait_until_idle("sms")
    for phone_number in audience.phone_numbers:
        environment.sends.make_due(phone_number)
    environment.wait(lambda: environment.simulator.calls(to=audience.phone_numbers[-1]), "the requests")
    with environment.database.locked():
        environment.valkey.stop()
        for _ in range(2):
            for worker in workers:
                worker.should_run = False
                environment.supervisor.signal_group(worker, signal.SIGTERM)
            time.sleep(_LOCK_SECONDS)
    assert environment.supervisor.stop_for_good(*workers) == [0, 0]
    assert _count_unrecorded_attempts(environment, send) == 0
    states = environment.progress.count_states(send)
    assert states == {"accepted": len(audience.phone_numbers)}, states
    environment.valkey.start()
    environment.simulator.set_faults()
    environment.scale_processes()
    environment.progress.wait_until_settled(send)
    outcome = check_invariants(environment, send, audience.phone_numbers)
    report.add("4 stop while the database is locked", environment.engine, **outcome.figures())


_LOCK_SECONDS = 8 if LONG_RUN else 1.3
_LONG_TIMEOUTS = {"PORTAL_SMS_TIMEOUT": "10", "PORTAL_SMS_LEASE": "30", "PORTAL_SMS_SETTLE": "60"}
"""Long enough that a busy machine causes no timeouts and only the restarts can cause unknown outcomes."""


def _count_unrecorded_attempts(environment: FaultEnvironment, send: int) -> int:
    """The count of attempts whose worker ended without recording a result."""
    query = """SELECT count(*) FROM attempt a JOIN delivery d ON d.id = a.delivery_id WHERE d.send_id = :send
               AND a.http_status IS NULL AND a.detail = '' AND a.outcome <> 'released' AND d.channel = 'sms'"""
    return int(environment.database.value(query, send=send))

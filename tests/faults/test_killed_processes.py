"""Scenarios 1 to 4: processes are killed at random and at the worst moments, frozen, and restarted in turn."""

import contextlib
import itertools
import random
import signal
import time
from collections.abc import Callable, Iterator

from tests.faults.support.engine_marks import FAULT_ENGINES, on_engine_in_short_run, on_engines
from tests.faults.support.fault_environment import LONG_RUN, FaultEnvironment, MissedTiming, now_ms, require_timing
from tests.faults.support.fault_report import FaultReport
from tests.faults.support.invariants import check_invariants, check_ledger
from tests.faults.support.supervised_processes import SupervisedProcess

TEXTS, KILLS = (3_000, 100) if LONG_RUN else (80, 8)
_RULES = [
    {"kind": "429", "probability": 0.05},
    {"kind": "500_before", "probability": 0.05},
    {"kind": "500_after", "probability": 0.06},
    {"kind": "timeout_after", "probability": 0.08, "seconds": 5},
]


@on_engines(*FAULT_ENGINES)
def test_processes_killed_at_random_lose_no_text_and_send_none_twice(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    dice = environment.seeded_random("kills")
    audience = environment.create_recipients(TEXTS)
    environment.simulator.set_faults(seed=dice.randrange(1000), rules=_RULES, list_stale_ms=600, receipts={"drop": 0.2})
    began = time.monotonic()
    send = environment.create_send(audience)
    killed = _kill_at_random(environment, send, dice)
    environment.wait_until_settled(send, seconds=300)
    seconds = time.monotonic() - began
    found = check_invariants(environment, send, audience.phone_numbers)
    check_ledger(environment)
    report.add("1 kill -9", environment.engine, kills=killed, seconds=seconds, **found.figures())


def _kill_at_random(stage: FaultEnvironment, send: int, dice: random.Random) -> int:
    """Spread over the send by its progress, so that all of them happen while texts leave."""
    for number in range(1, KILLS + 1):
        wanted, until = TEXTS * number / (KILLS + 1), time.monotonic() + 2
        while sum(stage.count_states(send).values()) - _unsent_texts(stage, send) < wanted and time.monotonic() < until:
            time.sleep(0.02)
        victims = [*stage.supervisor.all_running(), None]
        victim = dice.choice(victims)
        if victim is None:
            stage.valkey.stop()
            stage.valkey.start()
        else:
            stage.supervisor.signal_group(victim)
    return KILLS


def _unsent_texts(stage: FaultEnvironment, send: int) -> int:
    states = stage.count_states(send)
    return sum(states.get(each, 0) for each in ("ready", "sending"))


@on_engine_in_short_run("postgresql")
def test_a_worker_killed_at_each_of_the_five_worst_moments(environment: FaultEnvironment, report: FaultReport) -> None:
    """Before the claim, between claim and request, during the request, before the answer is recorded, and after."""
    send, audience = environment.prepare_send((8 if LONG_RUN else 6) * len(_MOMENTS))
    numbers = iter(audience.phone_numbers)
    environment.scale_processes(sms=1)
    environment.simulator.set_faults(latency_ms=400, receipts={"drop": 1})
    killed = [_kill_at(moment, environment, numbers) for moment in _MOMENTS]
    environment.simulator.set_faults(receipts={"drop": 1})
    for number in numbers:
        environment.make_due(number)
    environment.wait_until_settled(send)
    found = check_invariants(environment, send, audience.phone_numbers)
    report.add(
        "2 kill -9 at five points",
        environment.engine,
        seconds=_slowest_recovery_seconds(environment, killed),
        **found.figures(),
    )


def _kill_at(
    moment: Callable[[FaultEnvironment, str], None], stage: FaultEnvironment, numbers: Iterator[str]
) -> tuple[str, int]:
    """The number of the text that was struck, and when. On a busy machine the moment may pass: then the next text."""
    for number in itertools.islice(numbers, 7):
        stage.wait_until_idle()
        with contextlib.suppress(MissedTiming):
            moment(stage, number)
            return number, now_ms()
    raise AssertionError(f"seven times too late {moment.__name__.replace('_', ' ')} on {stage.engine}")


def _before_the_claim(stage: FaultEnvironment, number: str) -> None:
    turn = f"UPDATE delivery SET next_at_ms = {now_ms()} WHERE address = '{number}' AND state = 'ready'"
    with stage.database.locked(turn):
        stage.enqueue_drain_jobs()
        stage.wait_until_busy()
        _kill_sms_workers(stage)
    require_timing(stage.state(number) == "ready")


def _between_claim_and_request(stage: FaultEnvironment, number: str) -> None:
    stage.database.execute("UPDATE sending_number SET next_free_at_us = :soon", soon=(now_ms() + 700) * 1000)
    stage.make_due(number)
    stage.wait(lambda: stage.state(number) == "sending", "the claim")
    _kill_sms_workers(stage)
    require_timing(not stage.simulator.calls(to=number))


def _during_the_request(stage: FaultEnvironment, number: str) -> None:
    stage.make_due(number)
    stage.wait(lambda: stage.simulator.calls(to=number), "the request")
    _kill_sms_workers(stage)
    require_timing(not stage.simulator.texts_to(number))


def _before_it_is_recorded(stage: FaultEnvironment, number: str) -> None:
    stage.make_due(number)
    stage.wait(lambda: stage.simulator.calls(to=number), "the request")
    with stage.database.locked():
        stage.wait(lambda: stage.simulator.calls(to=number)[0]["status"] == 201, "the answer")
        _kill_sms_workers(stage)
    require_timing(stage.state(number) == "sending")


def _after_it_is_recorded(stage: FaultEnvironment, number: str) -> None:
    stage.make_due(number)
    stage.wait(lambda: stage.state(number) == "accepted", "the record")
    _kill_sms_workers(stage)


_MOMENTS = (
    _before_the_claim,
    _between_claim_and_request,
    _during_the_request,
    _before_it_is_recorded,
    _after_it_is_recorded,
)


def _kill_sms_workers(stage: FaultEnvironment) -> None:
    for worker in stage.supervisor.with_name("sms"):
        stage.supervisor.signal_group(worker)


def _slowest_recovery_seconds(stage: FaultEnvironment, killed: list[tuple[str, int]]) -> float:
    """Seconds from the kill until the text's outcome was known."""
    query = """SELECT max(j.at_ms) FROM faults_journal j JOIN delivery d ON d.id = j.delivery_id
               WHERE d.address = :number AND d.channel = 'sms' AND j.new = 'accepted'"""
    return max((stage.database.value(query, number=number) - at_ms) / 1000 for number, at_ms in killed)


@on_engine_in_short_run("sqlite")
def test_a_fan_out_whose_worker_dies_is_taken_up_by_the_next_one(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    """The queue takes the job to be under way still; the supervisor's next process looks for itself."""
    audience = environment.create_recipients(30 if LONG_RUN else 10)
    environment.wait_until_idle("work")
    (worker,) = environment.supervisor.with_name("work")
    environment.supervisor.signal_group(worker, signal.SIGSTOP)
    send = environment.create_send(audience)
    with environment.database.locked():
        environment.supervisor.signal_group(worker, signal.SIGCONT)
        environment.wait_until_busy("work")
        environment.supervisor.signal_group(worker)
    began = time.monotonic()
    environment.wait_for_texts(1, "the first text", send=send)
    seconds = time.monotonic() - began
    environment.wait_until_settled(send)
    found = check_invariants(environment, send, audience.phone_numbers)
    report.add("2 kill -9 in the fan-out", environment.engine, seconds_until_the_first_text=seconds, **found.figures())


@on_engine_in_short_run("postgresql")
def test_a_worker_frozen_past_its_lease_sends_nothing_when_it_wakes(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    """Frozen once before its request and once during it; meanwhile another worker and the evidence settle the text."""
    send, audience = environment.prepare_send(20)
    environment.configure(rate=3)
    environment.scale_processes(sms=1)
    environment.simulator.set_faults(latency_ms=400, receipts={"drop": 1})
    (worker,) = environment.supervisor.with_name("sms")
    pairs = zip(audience.phone_numbers[::2], audience.phone_numbers[1::2], strict=True)
    assert any(_freeze_between_claim_and_request(environment, worker, *pair) for pair in pairs), "ten times too late"
    environment.simulator.set_faults(receipts={"drop": 1})
    for number in audience.phone_numbers:
        environment.make_due(number, wake=False)
    environment.configure()
    environment.scale_processes(sms=2)
    environment.wait_until_settled(send)
    environment.supervisor.signal_group(worker, signal.SIGCONT)
    (code,) = environment.supervisor.stop_for_good(worker)
    assert code == 0
    found = check_invariants(environment, send, audience.phone_numbers)
    report.add("3 frozen past the lease", environment.engine, **found.figures())


def _freeze_between_claim_and_request(
    stage: FaultEnvironment, worker: SupervisedProcess, under_way: str, claimed: str
) -> bool:
    """With one text under way and the next one claimed; False when that moment has passed, and all goes on."""
    stage.wait_until_idle()
    stage.make_due(under_way, wake=False)
    stage.make_due(claimed)
    stage.wait(lambda: stage.simulator.calls(to=under_way), "the first request")
    stage.supervisor.signal_group(worker, signal.SIGSTOP)
    caught = stage.state(claimed) == "sending" and not stage.simulator.calls(to=claimed)
    if not caught:
        stage.supervisor.signal_group(worker, signal.SIGCONT)
    return caught


@on_engine_in_short_run("sqlite")
def test_workers_restarted_one_after_another_leave_nothing_in_doubt(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    """As a deployment does it: SIGTERM to the whole group of a process, the next version beside it."""
    environment.scale_processes(sms=0)
    if not LONG_RUN:
        environment.configure(rate=20)
    audience = environment.create_recipients(500 if LONG_RUN else 80)
    workers = [environment.start_process("sms", **_LONG_TIMEOUTS) for _ in range(4)]
    send = environment.create_send(audience)
    stops: list[float] = []
    for number, worker in enumerate(workers, start=1):
        environment.wait_for_texts((20 if LONG_RUN else 10) * number, "texts to leave", send=send)
        environment.start_process("sms", **_LONG_TIMEOUTS)
        began = time.monotonic()
        assert environment.supervisor.stop_for_good(worker) == [0]
        stops.append(time.monotonic() - began)
    environment.wait_until_settled(send)
    found = check_invariants(environment, send, audience.phone_numbers)
    assert max(stops) < 60
    assert _unrecorded_attempts(environment, send) == 0
    environment.supervisor.stop_for_good(*environment.supervisor.with_name("sms"))
    report.add("4 rolling restart of four workers", environment.engine, longest_stop_s=max(stops), **found.figures())


@on_engine_in_short_run("sqlite")
def test_an_orderly_stop_writes_down_what_came_back(environment: FaultEnvironment, report: FaultReport) -> None:
    """However slow the disk is, however often it is asked to stop, and with Redis away: texts and mails alike."""
    send, audience = environment.prepare_send(4)
    environment.scale_processes(sms=0, email=0)
    environment.simulator.set_faults(latency_ms=600, receipts={"drop": 1})
    workers = [environment.start_process("sms", **_LONG_TIMEOUTS), environment.start_process("email")]
    environment.wait_until_idle("sms")
    for number in audience.phone_numbers:
        environment.make_due(number)
    environment.wait(lambda: environment.simulator.calls(to=audience.phone_numbers[-1]), "the requests")
    with environment.database.locked():
        environment.valkey.stop()
        for _ in range(2):
            for worker in workers:
                worker.should_run = False
                environment.supervisor.signal_group(worker, signal.SIGTERM)
            time.sleep(_SLOW_DISK_SECONDS)
    assert environment.supervisor.stop_for_good(*workers) == [0, 0]
    assert _unrecorded_attempts(environment, send) == 0
    states = environment.count_states(send)
    assert states == {"accepted": len(audience.phone_numbers)}, states
    environment.valkey.start()
    environment.simulator.set_faults()
    environment.scale_processes()
    environment.wait_until_settled(send)
    found = check_invariants(environment, send, audience.phone_numbers)
    report.add("4 stop while the disk is slow", environment.engine, **found.figures())


_SLOW_DISK_SECONDS = 8 if LONG_RUN else 1.3
_LONG_TIMEOUTS = {"PORTAL_SMS_TIMEOUT": "10", "PORTAL_SMS_LEASE": "30", "PORTAL_SMS_SETTLE": "60"}
"""So that what is in doubt here is so for the restarts, and not for a machine that is busy."""


def _unrecorded_attempts(stage: FaultEnvironment, send: int) -> int:
    """Attempts whose worker ended without writing down what became of them."""
    query = """SELECT count(*) FROM attempt a JOIN delivery d ON d.id = a.delivery_id WHERE d.send_id = :send
               AND a.http_status IS NULL AND a.detail = '' AND a.outcome <> 'released' AND d.channel = 'sms'"""
    return int(stage.database.value(query, send=send))

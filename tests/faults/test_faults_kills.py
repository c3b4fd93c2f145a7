"""Scenarios 1 to 4: processes are killed at random and at the worst moments, frozen, and restarted in turn."""

import contextlib
import itertools
import random
import signal
import time
from collections.abc import Callable, Iterator

from fault_engines import ENGINES, on, turn_of
from fault_oracle import check_ledger, judge
from fault_processes import Process
from fault_report import Report
from fault_stage import LONG, Missed, Stage, must, now_ms

TEXTS, KILLS = (3_000, 100) if LONG else (80, 8)
_RULES = [
    {"kind": "429", "probability": 0.05},
    {"kind": "500_before", "probability": 0.05},
    {"kind": "500_after", "probability": 0.06},
    {"kind": "timeout_after", "probability": 0.08, "seconds": 5},
]


@on(*ENGINES)
def test_processes_killed_at_random_lose_no_text_and_send_none_twice(stage: Stage, report: Report) -> None:
    dice = stage.dice("kills")
    audience = stage.people(TEXTS)
    stage.outside.faults(seed=dice.randrange(1000), rules=_RULES, list_stale_ms=600, receipts={"drop": 0.2})
    began = time.monotonic()
    send = stage.send(audience)
    killed = _kill_at_random(stage, send, dice)
    stage.settled(send, seconds=300)
    seconds = time.monotonic() - began
    found = judge(stage, send, audience.numbers)
    check_ledger(stage)
    report.add("1 kill -9", stage.engine, kills=killed, seconds=seconds, **found.figures())


def _kill_at_random(stage: Stage, send: int, dice: random.Random) -> int:
    """Spread over the send by its progress, so that all of them happen while texts leave."""
    for number in range(1, KILLS + 1):
        wanted, until = TEXTS * number / (KILLS + 1), time.monotonic() + 2
        while sum(stage.states(send).values()) - _unsent(stage, send) < wanted and time.monotonic() < until:
            time.sleep(0.02)
        victims = [*stage.keeper.all(), None]
        victim = dice.choice(victims)
        if victim is None:
            stage.doorbell.stop()
            stage.doorbell.start()
        else:
            stage.keeper.strike(victim)
    return KILLS


def _unsent(stage: Stage, send: int) -> int:
    states = stage.states(send)
    return sum(states.get(each, 0) for each in ("ready", "sending"))


@turn_of("postgresql")
def test_a_worker_killed_at_each_of_the_five_worst_moments(stage: Stage, report: Report) -> None:
    """Before the claim, between claim and request, during the request, before the answer is recorded, and after."""
    send, audience = stage.prepared((8 if LONG else 6) * len(_MOMENTS))
    numbers = iter(audience.numbers)
    stage.crew(sms=1)
    stage.outside.faults(latency_ms=400, receipts={"drop": 1})
    killed = [_kill_at(moment, stage, numbers) for moment in _MOMENTS]
    stage.outside.faults(receipts={"drop": 1})
    for number in numbers:
        stage.release(number)
    stage.settled(send)
    found = judge(stage, send, audience.numbers)
    report.add("2 kill -9 at five points", stage.engine, seconds=_slowest(stage, killed), **found.figures())


def _kill_at(moment: Callable[[Stage, str], None], stage: Stage, numbers: Iterator[str]) -> tuple[str, int]:
    """The number of the text that was struck, and when. On a busy machine the moment may pass: then the next text."""
    for number in itertools.islice(numbers, 7):
        stage.idle()
        with contextlib.suppress(Missed):
            moment(stage, number)
            return number, now_ms()
    raise AssertionError(f"seven times too late {moment.__name__.replace('_', ' ')} on {stage.engine}")


def _before_the_claim(stage: Stage, number: str) -> None:
    turn = f"UPDATE delivery SET next_at_ms = {now_ms()} WHERE address = '{number}' AND state = 'ready'"
    with stage.database.locked(turn):
        stage.ring()
        stage.busy()
        _kill(stage)
    must(stage.state(number) == "ready")


def _between_claim_and_request(stage: Stage, number: str) -> None:
    stage.database.execute("UPDATE sender SET next_free_at_us = :soon", soon=(now_ms() + 700) * 1000)
    stage.release(number)
    stage.wait(lambda: stage.state(number) == "sending", "the claim")
    _kill(stage)
    must(not stage.outside.calls(to=number))


def _during_the_request(stage: Stage, number: str) -> None:
    stage.release(number)
    stage.wait(lambda: stage.outside.calls(to=number), "the request")
    _kill(stage)
    must(not stage.outside.texts_to(number))


def _before_it_is_recorded(stage: Stage, number: str) -> None:
    stage.release(number)
    stage.wait(lambda: stage.outside.calls(to=number), "the request")
    with stage.database.locked():
        stage.wait(lambda: stage.outside.calls(to=number)[0]["status"] == 201, "the answer")
        _kill(stage)
    must(stage.state(number) == "sending")


def _after_it_is_recorded(stage: Stage, number: str) -> None:
    stage.release(number)
    stage.wait(lambda: stage.state(number) == "accepted", "the record")
    _kill(stage)


_MOMENTS = (
    _before_the_claim,
    _between_claim_and_request,
    _during_the_request,
    _before_it_is_recorded,
    _after_it_is_recorded,
)


def _kill(stage: Stage) -> None:
    for worker in stage.keeper.named("sms"):
        stage.keeper.strike(worker)


def _slowest(stage: Stage, killed: list[tuple[str, int]]) -> float:
    """Seconds from the kill until the text's outcome was known."""
    query = """SELECT max(j.at_ms) FROM faults_journal j JOIN delivery d ON d.id = j.delivery_id
               WHERE d.address = :number AND d.channel = 'sms' AND j.new = 'accepted'"""
    return max((stage.database.value(query, number=number) - at_ms) / 1000 for number, at_ms in killed)


@turn_of("sqlite")
def test_a_fan_out_whose_worker_dies_is_taken_up_by_the_next_one(stage: Stage, report: Report) -> None:
    """The queue takes the job to be under way still; the supervisor's next process looks for itself."""
    audience = stage.people(30 if LONG else 10)
    stage.idle("work")
    (worker,) = stage.keeper.named("work")
    stage.keeper.strike(worker, signal.SIGSTOP)
    send = stage.send(audience)
    with stage.database.locked():
        stage.keeper.strike(worker, signal.SIGCONT)
        stage.busy("work")
        stage.keeper.strike(worker)
    began = time.monotonic()
    stage.texts_leave(1, "the first text", send=send)
    seconds = time.monotonic() - began
    stage.settled(send)
    found = judge(stage, send, audience.numbers)
    report.add("2 kill -9 in the fan-out", stage.engine, seconds_until_the_first_text=seconds, **found.figures())


@turn_of("postgresql")
def test_a_worker_frozen_past_its_lease_sends_nothing_when_it_wakes(stage: Stage, report: Report) -> None:
    """Frozen once before its request and once during it; meanwhile another worker and the evidence settle the text."""
    send, audience = stage.prepared(20)
    stage.configure(rate=3)
    stage.crew(sms=1)
    stage.outside.faults(latency_ms=400, receipts={"drop": 1})
    (worker,) = stage.keeper.named("sms")
    pairs = zip(audience.numbers[::2], audience.numbers[1::2], strict=True)
    assert any(_freeze(stage, worker, *pair) for pair in pairs), "ten times too late"
    stage.outside.faults(receipts={"drop": 1})
    for number in audience.numbers:
        stage.release(number, ring=False)
    stage.configure()
    stage.crew(sms=2)
    stage.settled(send)
    stage.keeper.strike(worker, signal.SIGCONT)
    (code,) = stage.keeper.dismiss(worker)
    assert code == 0
    found = judge(stage, send, audience.numbers)
    report.add("3 frozen past the lease", stage.engine, **found.figures())


def _freeze(stage: Stage, worker: Process, under_way: str, claimed: str) -> bool:
    """With one text under way and the next one claimed; False when that moment has passed, and all goes on."""
    stage.idle()
    stage.release(under_way, ring=False)
    stage.release(claimed)
    stage.wait(lambda: stage.outside.calls(to=under_way), "the first request")
    stage.keeper.strike(worker, signal.SIGSTOP)
    caught = stage.state(claimed) == "sending" and not stage.outside.calls(to=claimed)
    if not caught:
        stage.keeper.strike(worker, signal.SIGCONT)
    return caught


@turn_of("sqlite")
def test_workers_restarted_one_after_another_leave_nothing_in_doubt(stage: Stage, report: Report) -> None:
    """As a deployment does it: SIGTERM to the whole group of a process, the next version beside it."""
    stage.crew(sms=0)
    if not LONG:
        stage.configure(rate=20)
    audience = stage.people(500 if LONG else 80)
    workers = [stage.start("sms", **_PATIENT) for _ in range(4)]
    send = stage.send(audience)
    stops: list[float] = []
    for number, worker in enumerate(workers, start=1):
        stage.texts_leave((20 if LONG else 10) * number, "texts to leave", send=send)
        stage.start("sms", **_PATIENT)
        began = time.monotonic()
        assert stage.keeper.dismiss(worker) == [0]
        stops.append(time.monotonic() - began)
    stage.settled(send)
    found = judge(stage, send, audience.numbers)
    assert max(stops) < 60
    assert _abandoned(stage, send) == 0
    stage.keeper.dismiss(*stage.keeper.named("sms"))
    report.add("4 rolling restart of four workers", stage.engine, longest_stop_s=max(stops), **found.figures())


@turn_of("sqlite")
def test_an_orderly_stop_writes_down_what_came_back(stage: Stage, report: Report) -> None:
    """However slow the disk is, however often it is asked to stop, and with Redis away: texts and mails alike."""
    send, audience = stage.prepared(4)
    stage.crew(sms=0, email=0)
    stage.outside.faults(latency_ms=600, receipts={"drop": 1})
    workers = [stage.start("sms", **_PATIENT), stage.start("email")]
    stage.idle("sms")
    for number in audience.numbers:
        stage.release(number)
    stage.wait(lambda: stage.outside.calls(to=audience.numbers[-1]), "the requests")
    with stage.database.locked():
        stage.doorbell.stop()
        for _ in range(2):
            for worker in workers:
                worker.wanted = False
                stage.keeper.strike(worker, signal.SIGTERM)
            time.sleep(_SLOW_SECONDS)
    assert stage.keeper.dismiss(*workers) == [0, 0]
    assert _abandoned(stage, send) == 0
    states = stage.states(send)
    assert states == {"accepted": len(audience.numbers)}, states
    stage.doorbell.start()
    stage.outside.faults()
    stage.crew()
    stage.settled(send)
    found = judge(stage, send, audience.numbers)
    report.add("4 stop while the disk is slow", stage.engine, **found.figures())


_SLOW_SECONDS = 8 if LONG else 1.3
_PATIENT = {"PORTAL_SMS_TIMEOUT": "10", "PORTAL_SMS_LEASE": "30", "PORTAL_SMS_SETTLE": "60"}
"""So that what is in doubt here is so for the restarts, and not for a machine that is busy."""


def _abandoned(stage: Stage, send: int) -> int:
    """Attempts whose worker ended without writing down what became of them."""
    query = """SELECT count(*) FROM attempt a JOIN delivery d ON d.id = a.delivery_id WHERE d.send_id = :send
               AND a.http_status IS NULL AND a.detail = '' AND a.outcome <> 'released' AND d.channel = 'sms'"""
    return int(stage.database.value(query, send=send))

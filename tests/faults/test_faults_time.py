"""Scenarios 12 and 22: clocks that jump or disagree, and schedulers that compete, die and are replaced."""

import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import fault_clock
from fault_engines import on, turn_of
from fault_oracle import Defect, judge
from fault_report import Report
from fault_stage import LONG, Stage

HOUR = 3_600.0
_NEW_YORK = ZoneInfo("America/New_York")
_WITH_CLOCKS = ("sms", "email", "work", "scheduler")


@turn_of("sqlite")
def test_a_clock_that_jumps_an_hour_either_way_costs_no_text(stage: Stage, report: Report) -> None:
    """All processes of one machine share the clock. What was put off while it was ahead does not wait for that hour."""
    clock = stage.folder / "clock"
    fault_clock.write(clock, 0)
    _replace_crew(stage, clock)
    audience = stage.people(300 if LONG else 50)
    send = stage.send(audience)
    for texts, jump in ((15, HOUR), (30, 0.0)) if LONG else ((8, HOUR), (20, 0.0)):
        stage.texts_leave(texts, "texts to leave", send=send)
        fault_clock.write(clock, jump)
    stage.settled(send)
    put_right = stage.said().count("the clock went back")
    found = judge(stage, send, audience.numbers, slots_stand=not put_right)
    report.add("12 clock jumps an hour and back", stage.engine, put_right=put_right, **found.figures())


@on("sqlite")
def test_the_night_in_which_the_clocks_go_back_costs_no_text_and_sends_none_twice(stage: Stage, report: Report) -> None:
    """New York, where these processes live, has the hour from one to two twice; the send goes on over the change."""
    clock = stage.folder / "autumn"
    change = _next_autumn()
    fault_clock.write(clock, change - HOUR - time.time())
    _replace_crew(stage, clock)
    _forget_the_date(stage)
    stage.configure(rate=10 if LONG else 8)
    send, audience = stage.prepared(100 if LONG else 40)
    stage.start("sms", FAULTS_CLOCK=str(clock))
    stage.idle()
    fault_clock.write(clock, change - 4 - time.time())
    its = f"send_id = {send} AND channel = 'sms' AND state = 'ready'"
    stage.database.nudge(f"next_at_ms = {round((change - 4) * 1000)}", its)
    stage.ring()
    stage.settled(send)
    slots = """SELECT min(a.slot_at_ms), max(a.slot_at_ms) FROM attempt a JOIN delivery d ON d.id = a.delivery_id
               WHERE d.send_id = :send AND d.channel = 'sms'"""
    first, last = stage.database.rows(slots, send=send)[0]
    assert first < change * 1000 < last, "no texts on both sides of the change"
    found = judge(stage, send, audience.numbers)
    report.add("12 the clocks go back", stage.engine, **found.figures())
    stage.keeper.dismiss(*[each for name in _WITH_CLOCKS for each in stage.keeper.named(name)])
    _forget_the_date(stage)


def _forget_the_date(stage: Stage) -> None:
    """That night is months away: neither the database nor Valkey may think that it was put back by so much."""
    stage.doorbell.ask("FLUSHALL")
    stage.database.execute("DELETE FROM bookmark", "DELETE FROM heartbeat", "UPDATE lease SET until_ms = 0")


def _next_autumn() -> float:
    """When New York puts its clocks back next, in seconds since 1970."""
    at = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    while _offset(at) - _offset(at - timedelta(hours=1)) >= timedelta():
        at += timedelta(hours=1)
    return at.timestamp()


def _offset(at: datetime) -> timedelta:
    return at.astimezone(_NEW_YORK).utcoffset() or timedelta()


def _replace_crew(stage: Stage, clock: Path) -> None:
    """Processes with this clock in place of those that have the right one."""
    for name in _WITH_CLOCKS:
        stage.keeper.dismiss(*stage.keeper.named(name), signum=signal.SIGKILL)
        stage.start(name, FAULTS_CLOCK=str(clock))


@on("postgresql")
def test_a_scheduler_whose_clock_is_five_minutes_ahead_takes_no_text_from_a_worker(
    stage: Stage, report: Report
) -> None:
    """Two hosts on one PostgreSQL: what one has just claimed is past its lease by the other's clock, and goes once."""
    stage.crew(scheduler=0)
    stage.start("scheduler", FAULTS_CLOCK=_ahead(stage))
    stage.leader()
    stage.configure(rate=10)
    audience = stage.people(30 if LONG else 20)
    send = stage.send(audience)
    stage.wait(lambda: stage.states(send) == {"delivered": len(audience.places)}, "the texts", send=send)
    stage.keeper.dismiss(*stage.keeper.named("scheduler"))
    stage.database.execute("UPDATE lease SET until_ms = 0")  # its lease lasts five minutes longer than it does
    stage.crew()
    stage.settled(send)
    found = judge(stage, send, audience.numbers)
    report.add("12 scheduler five minutes ahead", stage.engine, **found.figures())


@on("postgresql")
def test_workers_whose_clocks_disagree_keep_one_pace(stage: Stage) -> None:
    """Two hosts on one PostgreSQL, five minutes apart: together they are as fast as one number may be, no faster."""
    rate, texts = (20, 80) if LONG else (10, 40)
    stage.configure(rate=rate)
    stage.crew(sms=1)
    stage.start("sms", FAULTS_CLOCK=_ahead(stage))
    stage.idle()
    send = stage.send(stage.people(texts))
    stage.ring(times=2)
    stage.wait(lambda: stage.outside.count() == texts, "the texts", send=send)
    arrivals = [call["at_ms"] for call in stage.outside.calls()]
    took_ms = max(arrivals) - min(arrivals)
    stage.keeper.dismiss(*stage.keeper.named("sms"))
    stage.settled(send)
    # they take four seconds; two paces side by side would take two, and one waiting for the other five minutes
    if not 3_000 < took_ms < 120_000:
        raise Defect(f"{took_ms} ms for {texts} texts at {rate}/s")


def _ahead(stage: Stage) -> str:
    clock = stage.folder / "ahead"
    fault_clock.write(clock, 300)
    return str(clock)


@turn_of("sqlite")
def test_of_two_schedulers_one_sweeps_and_nothing_is_done_twice(stage: Stage, report: Report) -> None:
    """Outcomes in doubt are settled while two run, and after the one that swept was killed."""
    stage.crew(scheduler=2)
    stage.outside.faults(rules=[{"kind": "500_after", "probability": 0.3}], receipts={"drop": 1})
    audience = stage.people(300 if LONG else 30)
    send = stage.send(audience)
    stage.texts_leave(10, "the first texts", send=send)
    leader = stage.leader()
    stage.keeper.strike(leader)
    stage.settled(send, seconds=180)
    found = judge(stage, send, audience.numbers)
    assert found.in_doubt
    report.add("22 two schedulers", stage.engine, **found.figures())


@on("sqlite")
def test_a_scheduler_that_is_restarted_sweeps_again_at_once(stage: Stage) -> None:
    """As at every deployment: SIGTERM, and the next one beside it."""
    leader = stage.leader()
    stage.start("scheduler")
    assert stage.keeper.dismiss(leader) == [0]
    ends = time.monotonic() + 10
    while time.monotonic() < ends and stage.holder() != stage.keeper.named("scheduler")[0].pid:
        time.sleep(0.1)
    if stage.holder() != stage.keeper.named("scheduler")[0].pid:
        raise Defect("10 seconds after a restart the scheduler that stopped still held the lease")

"""Scenarios 12 and 22: clocks that jump or disagree, and schedulers that compete, die and are replaced."""

import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from tests.faults.support import skewed_clock
from tests.faults.support.engine_marks import on_engine_in_short_run, on_engines
from tests.faults.support.fault_environment import LONG_RUN, FaultEnvironment
from tests.faults.support.fault_report import FaultReport
from tests.faults.support.invariants import KnownDefect, check_invariants

HOUR = 3_600.0
_NEW_YORK = ZoneInfo("America/New_York")
_SKEWED_PROCESSES = ("sms", "email", "work", "scheduler")


@on_engine_in_short_run("sqlite")
def test_a_clock_that_jumps_an_hour_either_way_costs_no_text(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    """All processes of one machine share the clock. What was put off while it was ahead does not wait for that hour."""
    clock = environment.folder / "clock"
    skewed_clock.set_clock_offset(clock, 0)
    _restart_with_clock(environment, clock)
    audience = environment.create_recipients(300 if LONG_RUN else 50)
    send = environment.create_send(audience)
    for texts, jump in ((15, HOUR), (30, 0.0)) if LONG_RUN else ((8, HOUR), (20, 0.0)):
        environment.wait_for_texts(texts, "texts to leave", send=send)
        skewed_clock.set_clock_offset(clock, jump)
    environment.wait_until_settled(send)
    put_right = environment.said().count("the clock went back")
    found = check_invariants(environment, send, audience.phone_numbers, check_pace=not put_right)
    report.add("12 clock jumps an hour and back", environment.engine, put_right=put_right, **found.figures())


@on_engines("sqlite")
def test_the_night_in_which_the_clocks_go_back_costs_no_text_and_sends_none_twice(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    """New York, where these processes live, has the hour from one to two twice; the send goes on over the change."""
    clock = environment.folder / "autumn"
    change = _next_clock_change()
    skewed_clock.set_clock_offset(clock, change - HOUR - time.time())
    _restart_with_clock(environment, clock)
    _clear_stored_times(environment)
    environment.configure(rate=10 if LONG_RUN else 8)
    send, audience = environment.prepare_send(100 if LONG_RUN else 40)
    environment.start_process("sms", FAULTS_CLOCK=str(clock))
    environment.wait_until_idle()
    skewed_clock.set_clock_offset(clock, change - 4 - time.time())
    its = f"send_id = {send} AND channel = 'sms' AND state = 'ready'"
    environment.database.update_unlocked(f"next_at_ms = {round((change - 4) * 1000)}", its)
    environment.enqueue_drain_jobs()
    environment.wait_until_settled(send)
    slots = """SELECT min(a.slot_at_ms), max(a.slot_at_ms) FROM attempt a JOIN delivery d ON d.id = a.delivery_id
               WHERE d.send_id = :send AND d.channel = 'sms'"""
    first, last = environment.database.rows(slots, send=send)[0]
    assert first < change * 1000 < last, "no texts on both sides of the change"
    found = check_invariants(environment, send, audience.phone_numbers)
    report.add("12 the clocks go back", environment.engine, **found.figures())
    environment.supervisor.stop_for_good(
        *[each for name in _SKEWED_PROCESSES for each in environment.supervisor.with_name(name)]
    )
    _clear_stored_times(environment)


def _clear_stored_times(stage: FaultEnvironment) -> None:
    """That night is months away: neither the database nor Valkey may think that it was put back by so much."""
    stage.valkey.run_redis_command("FLUSHALL")
    stage.database.execute("DELETE FROM sync_cursor", "DELETE FROM heartbeat", "UPDATE lease SET until_ms = 0")


def _next_clock_change() -> float:
    """When New York puts its clocks back next, in seconds since 1970."""
    at = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    while _utc_offset(at) - _utc_offset(at - timedelta(hours=1)) >= timedelta():
        at += timedelta(hours=1)
    return at.timestamp()


def _utc_offset(at: datetime) -> timedelta:
    return at.astimezone(_NEW_YORK).utcoffset() or timedelta()


def _restart_with_clock(stage: FaultEnvironment, clock: Path) -> None:
    """Processes with this clock in place of those that have the right one."""
    for name in _SKEWED_PROCESSES:
        stage.supervisor.stop_for_good(*stage.supervisor.with_name(name), signum=signal.SIGKILL)
        stage.start_process(name, FAULTS_CLOCK=str(clock))


@on_engines("postgresql")
def test_a_scheduler_whose_clock_is_five_minutes_ahead_takes_no_text_from_a_worker(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    """Two hosts on one PostgreSQL: what one has just claimed is past its lease by the other's clock, and goes once."""
    environment.scale_processes(scheduler=0)
    environment.start_process("scheduler", FAULTS_CLOCK=_clock_five_minutes_ahead(environment))
    environment.active_scheduler()
    environment.configure(rate=10)
    audience = environment.create_recipients(30 if LONG_RUN else 20)
    send = environment.create_send(audience)
    environment.wait(
        lambda: environment.count_states(send) == {"delivered": len(audience.indexes)}, "the texts", send=send
    )
    environment.supervisor.stop_for_good(*environment.supervisor.with_name("scheduler"))
    environment.database.execute("UPDATE lease SET until_ms = 0")  # its lease lasts five minutes longer than it does
    environment.scale_processes()
    environment.wait_until_settled(send)
    found = check_invariants(environment, send, audience.phone_numbers)
    report.add("12 scheduler five minutes ahead", environment.engine, **found.figures())


@on_engines("postgresql")
def test_workers_whose_clocks_disagree_keep_one_pace(environment: FaultEnvironment) -> None:
    """Two hosts on one PostgreSQL, five minutes apart: together they are as fast as one number may be, no faster."""
    rate, texts = (20, 80) if LONG_RUN else (10, 40)
    environment.configure(rate=rate)
    environment.scale_processes(sms=1)
    environment.start_process("sms", FAULTS_CLOCK=_clock_five_minutes_ahead(environment))
    environment.wait_until_idle()
    send = environment.create_send(environment.create_recipients(texts))
    environment.enqueue_drain_jobs(times=2)
    environment.wait(lambda: environment.simulator.count_texts() == texts, "the texts", send=send)
    arrivals = [call["at_ms"] for call in environment.simulator.calls()]
    took_ms = max(arrivals) - min(arrivals)
    environment.supervisor.stop_for_good(*environment.supervisor.with_name("sms"))
    environment.wait_until_settled(send)
    # they take four seconds; two paces side by side would take two, and one waiting for the other five minutes
    if not 3_000 < took_ms < 120_000:
        raise KnownDefect(f"{took_ms} ms for {texts} texts at {rate}/s")


def _clock_five_minutes_ahead(stage: FaultEnvironment) -> str:
    clock = stage.folder / "ahead"
    skewed_clock.set_clock_offset(clock, 300)
    return str(clock)


@on_engine_in_short_run("sqlite")
def test_of_two_schedulers_one_sweeps_and_nothing_is_done_twice(
    environment: FaultEnvironment, report: FaultReport
) -> None:
    """Outcomes in doubt are settled while two run, and after the one that swept was killed."""
    environment.scale_processes(scheduler=2)
    environment.simulator.set_faults(rules=[{"kind": "500_after", "probability": 0.3}], receipts={"drop": 1})
    audience = environment.create_recipients(300 if LONG_RUN else 30)
    send = environment.create_send(audience)
    environment.wait_for_texts(10, "the first texts", send=send)
    leader = environment.active_scheduler()
    environment.supervisor.signal_group(leader)
    environment.wait_until_settled(send, seconds=180)
    found = check_invariants(environment, send, audience.phone_numbers)
    assert found.unknown_outcomes
    report.add("22 two schedulers", environment.engine, **found.figures())


@on_engines("sqlite")
def test_a_scheduler_that_is_restarted_sweeps_again_at_once(environment: FaultEnvironment) -> None:
    """As at every deployment: SIGTERM, and the next one beside it."""
    leader = environment.active_scheduler()
    environment.start_process("scheduler")
    assert environment.supervisor.stop_for_good(leader) == [0]
    ends = time.monotonic() + 10
    while (
        time.monotonic() < ends
        and environment.lease_holder_pid() != environment.supervisor.with_name("scheduler")[0].pid
    ):
        time.sleep(0.1)
    if environment.lease_holder_pid() != environment.supervisor.with_name("scheduler")[0].pid:
        raise KnownDefect("10 seconds after a restart the scheduler that stopped still held the lease")

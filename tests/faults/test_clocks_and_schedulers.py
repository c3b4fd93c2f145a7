"""Scenarios 12 and 22: clocks that jump or disagree, and schedulers that compete, are killed and are replaced."""

import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from tests.faults.support import skewed_clock
from tests.faults.support.engine_marks import on_engine_in_short_run, on_engines
from tests.faults.support.fault_environment import FaultEnvironment
from tests.faults.support.fault_report import FaultReport
from tests.faults.support.invariants import DefectFound, check_invariants
from tests.faults.support.timing import LONG_RUN

HOUR = 3_600.0
_NEW_YORK = ZoneInfo("America/New_York")
_SKEWED_PROCESSES = ("sms", "email", "work", "scheduler")


@on_engine_in_short_run("sqlite")
def test_a_clock_jump_of_an_hour_and_back_loses_no_text(environment: FaultEnvironment, report: FaultReport) -> None:
    """All processes share the clock. Texts deferred while it was ahead do not wait out the hour."""
    clock = environment.folder / "clock"
    skewed_clock.set_clock_offset(clock, 0)
    restart_with_clock(environment, clock)
    audience = environment.sends.create_recipients(300 if LONG_RUN else 50)
    send = environment.sends.create(audience)
    for count, offset in ((15, HOUR), (30, 0.0)) if LONG_RUN else ((8, HOUR), (20, 0.0)):
        environment.progress.wait_for_texts(count, "texts to leave", send=send)
        skewed_clock.set_clock_offset(clock, offset)
    environment.progress.wait_until_settled(send)
    corrected = environment.log_output().count("clock moved backwards")
    outcome = check_invariants(environment, send, audience.phone_numbers, check_pace=not corrected)
    report.add("12 clock jumps an hour and back", environment.engine, corrected=corrected, **outcome.figures())


@on_engines("sqlite")
def test_send_across_the_end_of_daylight_saving_completes(environment: FaultEnvironment, report: FaultReport) -> None:
    """The processes run in New York time, where the hour from one to two then happens twice."""
    clock = environment.folder / "autumn"
    change = _next_clock_change()
    skewed_clock.set_clock_offset(clock, change - HOUR - time.time())
    restart_with_clock(environment, clock)
    clear_stored_times(environment)
    environment.configure(rate=10 if LONG_RUN else 8)
    send, audience = environment.sends.prepare(100 if LONG_RUN else 40)
    environment.start_process("sms", FAULTS_CLOCK=str(clock))
    environment.wait_until_idle()
    skewed_clock.set_clock_offset(clock, change - 4 - time.time())
    ready = f"send_id = {send} AND channel = 'sms' AND state = 'ready'"
    environment.database.update_unlocked(f"due_at_ms = {round((change - 4) * 1000)}", ready)
    environment.sends.enqueue_drain_jobs()
    environment.progress.wait_until_settled(send)
    slots = """SELECT min(a.slot_at_ms), max(a.slot_at_ms) FROM attempt a JOIN delivery d ON d.id = a.delivery_id
               WHERE d.send_id = :send AND d.channel = 'sms'"""
    first, last = environment.database.rows(slots, send=send)[0]
    assert first < change * 1000 < last, "no texts before or after the change"
    outcome = check_invariants(environment, send, audience.phone_numbers)
    report.add("12 end of daylight saving time", environment.engine, **outcome.figures())
    environment.supervisor.stop_for_good(
        *[process for name in _SKEWED_PROCESSES for process in environment.supervisor.with_name(name)]
    )
    clear_stored_times(environment)


def clear_stored_times(environment: FaultEnvironment) -> None:
    """Delete stored times: with the clock months apart, the portal would detect a restored database."""
    environment.valkey.run_redis_command("FLUSHALL")
    environment.database.execute(
        "DELETE FROM sync_cursor", "DELETE FROM heartbeat", "UPDATE lease SET expires_at_ms = 0"
    )


def _next_clock_change() -> float:
    """The next end of daylight saving time in New York, in seconds since 1970."""
    at = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    while _utc_offset(at) - _utc_offset(at - timedelta(hours=1)) >= timedelta():
        at += timedelta(hours=1)
    return at.timestamp()


def _utc_offset(at: datetime) -> timedelta:
    return at.astimezone(_NEW_YORK).utcoffset() or timedelta()


def restart_with_clock(environment: FaultEnvironment, clock: Path, **env_vars: str) -> None:
    """Replace the processes by ones that use this clock."""
    for name in _SKEWED_PROCESSES:
        environment.supervisor.stop_for_good(*environment.supervisor.with_name(name), signum=signal.SIGKILL)
        environment.start_process(name, FAULTS_CLOCK=str(clock), **env_vars)


@on_engines("postgresql")
def test_fast_scheduler_clock_releases_no_claimed_text(environment: FaultEnvironment, report: FaultReport) -> None:
    """Two hosts share a PostgreSQL. By the scheduler's clock every lease has expired; each text still leaves once."""
    environment.scale_processes(scheduler=0)
    environment.start_process("scheduler", FAULTS_CLOCK=_clock_five_minutes_ahead(environment))
    environment.active_scheduler()
    environment.configure(rate=10)
    audience = environment.sends.create_recipients(30 if LONG_RUN else 20)
    send = environment.sends.create(audience)
    environment.wait(
        lambda: environment.progress.count_states(send) == {"delivered": len(audience.indexes)}, "the texts", send=send
    )
    environment.supervisor.stop_for_good(*environment.supervisor.with_name("scheduler"))
    environment.database.execute(
        "UPDATE lease SET expires_at_ms = 0"
    )  # expires only in five minutes by the skewed clock
    environment.scale_processes()
    environment.progress.wait_until_settled(send)
    outcome = check_invariants(environment, send, audience.phone_numbers)
    report.add("12 scheduler five minutes ahead", environment.engine, **outcome.figures())


@on_engines("postgresql")
def test_workers_with_different_clocks_share_one_pace(environment: FaultEnvironment) -> None:
    """Two hosts with clocks five minutes apart share a PostgreSQL and together send at the rate of the number."""
    rate, count = (20, 80) if LONG_RUN else (10, 40)
    environment.configure(rate=rate)
    environment.scale_processes(sms=1)
    environment.start_process("sms", FAULTS_CLOCK=_clock_five_minutes_ahead(environment))
    environment.wait_until_idle()
    send = environment.sends.create(environment.sends.create_recipients(count))
    environment.sends.enqueue_drain_jobs(times=2)
    environment.wait(lambda: environment.simulator.count_texts() == count, "the texts", send=send)
    arrivals = [call["at_ms"] for call in environment.simulator.calls()]
    duration_ms = max(arrivals) - min(arrivals)
    environment.supervisor.stop_for_good(*environment.supervisor.with_name("sms"))
    environment.progress.wait_until_settled(send)
    # four seconds; two independent paces would take two, a worker that waits for the other clock five minutes
    if not 3_000 < duration_ms < 120_000:
        raise DefectFound(f"{duration_ms} ms for {count} texts at {rate}/s")


def _clock_five_minutes_ahead(environment: FaultEnvironment) -> str:
    clock = environment.folder / "ahead"
    skewed_clock.set_clock_offset(clock, 300)
    return str(clock)


@on_engine_in_short_run("sqlite")
def test_only_one_of_two_schedulers_runs_maintenance(environment: FaultEnvironment, report: FaultReport) -> None:
    """Unknown outcomes are resolved once while both run, and after the active one is killed."""
    environment.scale_processes(scheduler=2)
    environment.simulator.set_faults(rules=[{"kind": "500_after", "probability": 0.3}], receipts={"drop": 1})
    audience = environment.sends.create_recipients(300 if LONG_RUN else 30)
    send = environment.sends.create(audience)
    environment.progress.wait_for_texts(10, "the first texts", send=send)
    leader = environment.active_scheduler()
    environment.supervisor.signal_group(leader)
    environment.progress.wait_until_settled(send, seconds=180)
    outcome = check_invariants(environment, send, audience.phone_numbers)
    assert outcome.unknown_outcomes
    report.add("22 two schedulers", environment.engine, **outcome.figures())


@on_engines("sqlite")
def test_a_restarted_scheduler_takes_over_within_ten_seconds(environment: FaultEnvironment) -> None:
    """As in a deployment: the new scheduler starts before the old one gets SIGTERM."""
    leader = environment.active_scheduler()
    environment.start_process("scheduler")
    assert environment.supervisor.stop_for_good(leader) == [0]
    (successor,) = environment.supervisor.with_name("scheduler")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and environment.lease_holder_pid() != successor.pid:
        time.sleep(0.1)
    if environment.lease_holder_pid() != successor.pid:
        raise DefectFound("10 seconds after its SIGTERM the old scheduler still held the lease")

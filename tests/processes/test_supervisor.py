"""The supervisor restarts children, stops them all, and leaves none behind."""

import fcntl
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.processes.conftest import IsAlive, ProcessSandbox, WaitFor

FAKE_PROGRAMS = str(Path(__file__).with_name("fake_commands.py"))
SUPERVISE = f"""
import os, sys
from functools import partial
from portal.processes.program import Backoff, Program
from portal.processes.supervisor import Supervisor
from tests.processes import fake_commands

grace, *programs = sys.argv[1:]
with Supervisor(os.environ, grace_seconds=float(grace), backoff=Backoff(0.02, 0.1)) as supervisor:
    for program in programs:
        kind, name = program.split()
        command = (sys.executable, "-u", {FAKE_PROGRAMS!r}, kind, name)
        run = partial(fake_commands.main, [kind, name]) if os.environ["STARTED_BY"] == "fork" else None
        supervisor.start(Program(name, command, stops_last=name == "data", run=run))
    supervisor.run()
print("clean end")
"""


@pytest.fixture(autouse=True, params=["exec", "fork"])
def started_by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs with children that execute a program, and with children that are forks of the supervisor."""
    monkeypatch.setenv("STARTED_BY", request.param)


def test_killed_child_is_restarted(process_sandbox: ProcessSandbox, eventually: WaitFor) -> None:
    process_sandbox.run_python(SUPERVISE, "5", "sleeper sleeper")
    eventually(lambda: len(process_sandbox.pids("sleeper")) == 1, "the child runs")
    os.kill(process_sandbox.pids("sleeper")[0], signal.SIGKILL)
    eventually(lambda: len(process_sandbox.pids("sleeper")) == 2, "it runs again")
    assert "sleeper ended (signal 9); restarting in" in process_sandbox.output()


def test_crash_loop_is_reported_with_the_last_output(process_sandbox: ProcessSandbox, eventually: WaitFor) -> None:
    process_sandbox.run_python(SUPERVISE, "5", "crash broken")
    eventually(lambda: len(process_sandbox.pids("broken")) >= 7, "seven attempts")
    notices = [line for line in process_sandbox.output().splitlines() if "failed to start 5 times" in line]
    assert notices == ["portal      | broken failed to start 5 times. Last output: broken cannot go on"]


def test_child_that_exits_cleanly_is_restarted(process_sandbox: ProcessSandbox, eventually: WaitFor) -> None:
    process_sandbox.run_python(SUPERVISE, "5", "finish brief")
    eventually(lambda: process_sandbox.output().count("one line") >= 3, "three runs")
    assert "brief       | one line" in process_sandbox.output()
    assert "brief ended (exit code 0)" in process_sandbox.output()


def test_ctrl_c_ends_even_children_that_ignore_sigterm(
    process_sandbox: ProcessSandbox, eventually: WaitFor, is_alive: IsAlive
) -> None:
    supervisor = process_sandbox.run_python(SUPERVISE, "0.5", "ignore_sigterm mule", "sleeper sleeper")
    eventually(lambda: len(process_sandbox.all_pids()) == 3, "all run")
    supervisor.send_signal(signal.SIGINT)
    assert supervisor.wait(15) == 0
    assert [pid for pid in process_sandbox.all_pids() if is_alive(pid)] == []
    assert "clean end" in process_sandbox.output()


def test_worker_finishes_its_job_before_it_ends(
    process_sandbox: ProcessSandbox, eventually: WaitFor, is_alive: IsAlive
) -> None:
    supervisor = process_sandbox.run_python(SUPERVISE, "20", "rq_worker sms")
    eventually(lambda: len(process_sandbox.all_pids()) == 2, "worker and horse run")
    supervisor.send_signal(signal.SIGTERM)
    eventually((process_sandbox.folder / "asked-to-stop").exists, "the worker to be signalled")
    assert is_alive(process_sandbox.pids("sms-horse")[0])
    (process_sandbox.folder / "finish-job").touch()
    assert supervisor.wait(15) == 0
    assert (process_sandbox.folder / "job-done").exists()


def test_work_horse_of_a_killed_worker_is_ended(
    process_sandbox: ProcessSandbox, eventually: WaitFor, is_alive: IsAlive
) -> None:
    supervisor = process_sandbox.run_python(SUPERVISE, "0.3", "rq_worker sms")
    eventually(lambda: len(process_sandbox.all_pids()) == 2, "worker and horse run")
    os.kill(process_sandbox.pids("sms")[0], signal.SIGKILL)
    eventually(lambda: len(process_sandbox.pids("sms-horse")) == 2, "a second worker has its own horse")
    assert is_alive(process_sandbox.pids("sms-horse")[0])
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(15) == 0
    assert [pid for pid in process_sandbox.all_pids() if is_alive(pid)] == []


def test_second_ctrl_c_kills_at_once(process_sandbox: ProcessSandbox, eventually: WaitFor, is_alive: IsAlive) -> None:
    supervisor = process_sandbox.run_python(SUPERVISE, "100", "ignore_sigterm mule")
    eventually(lambda: len(process_sandbox.all_pids()) == 2, "both run")
    requested_at = time.monotonic()
    supervisor.send_signal(signal.SIGINT)
    eventually(lambda: "Stopping" in process_sandbox.output(), "the stop began")
    eventually(lambda: time.monotonic() - requested_at > 0.6, "the debounce time to pass")
    supervisor.send_signal(signal.SIGINT)
    assert supervisor.wait(15) == 0
    assert [pid for pid in process_sandbox.all_pids() if is_alive(pid)] == []


def test_two_signals_at_once_count_as_one(process_sandbox: ProcessSandbox, eventually: WaitFor) -> None:
    supervisor = process_sandbox.run_python(SUPERVISE, "20", "rq_worker sms")
    eventually(lambda: len(process_sandbox.all_pids()) == 2, "worker and horse run")
    supervisor.send_signal(signal.SIGTERM)
    supervisor.send_signal(signal.SIGHUP)
    eventually((process_sandbox.folder / "asked-to-stop").exists, "the worker to be signalled")
    (process_sandbox.folder / "finish-job").touch()
    assert supervisor.wait(15) == 0
    assert (process_sandbox.folder / "job-done").exists()


def test_stops_last_programs_end_last(process_sandbox: ProcessSandbox, eventually: WaitFor, is_alive: IsAlive) -> None:
    supervisor = process_sandbox.run_python(SUPERVISE, "20", "sleeper data", "rq_worker sms")
    eventually(lambda: len(process_sandbox.all_pids()) == 3, "all run")
    supervisor.send_signal(signal.SIGTERM)
    eventually((process_sandbox.folder / "asked-to-stop").exists, "the worker to be signalled")
    assert is_alive(process_sandbox.pids("data")[0])
    (process_sandbox.folder / "finish-job").touch()
    assert supervisor.wait(15) == 0


def test_sigkill_of_the_supervisor_leaves_no_process(
    process_sandbox: ProcessSandbox, eventually: WaitFor, is_alive: IsAlive
) -> None:
    supervisor = process_sandbox.run_python(SUPERVISE, "0.5", "ignore_sigterm mule", "sleeper sleeper", "crash broken")
    eventually(lambda: len(process_sandbox.pids("mule-horse")) == 1 and process_sandbox.pids("sleeper"), "all run")
    supervisor.send_signal(signal.SIGKILL)
    supervisor.wait(5)
    eventually(lambda: not any(map(is_alive, process_sandbox.all_pids())), "no process is left")


def test_lock_is_held_until_the_last_child_is_gone(
    process_sandbox: ProcessSandbox, eventually: WaitFor, is_alive: IsAlive
) -> None:
    lock = process_sandbox.folder / "lock"
    holding = SUPERVISE.replace(
        "with Supervisor(os.environ,", "with Supervisor(os.environ, inherited_fds=(lock,),"
    ).replace(
        "grace, *programs",
        f"import fcntl\nlock = os.open({str(lock)!r}, os.O_CREAT)\nfcntl.flock(lock, 2)\ngrace, *programs",
    )
    supervisor = process_sandbox.run_python(holding, "1", "ignore_sigterm mule")
    eventually(lambda: len(process_sandbox.all_pids()) == 2, "both run")
    supervisor.send_signal(signal.SIGKILL)
    supervisor.wait(5)
    with lock.open() as contender:
        fcntl.flock(contender, fcntl.LOCK_EX)
    assert not any(map(is_alive, process_sandbox.all_pids()))


def test_killed_reaper_is_replaced(process_sandbox: ProcessSandbox, eventually: WaitFor, is_alive: IsAlive) -> None:
    supervisor = process_sandbox.run_python(SUPERVISE, "0.5", "ignore_sigterm mule")
    eventually(lambda: len(process_sandbox.all_pids()) == 2, "both run")
    first = reapers_of(supervisor.pid)
    assert len(first) == 1
    os.kill(first[0], signal.SIGKILL)
    eventually(lambda: reapers_of(supervisor.pid) not in ([], first), "a new reaper")
    supervisor.send_signal(signal.SIGKILL)
    supervisor.wait(5)
    eventually(lambda: not any(map(is_alive, process_sandbox.all_pids())), "no process is left")


def test_closed_output_ends_everything(process_sandbox: ProcessSandbox, eventually: WaitFor, is_alive: IsAlive) -> None:
    program = f"{sys.executable} {process_sandbox.folder / 'piped.py'} 5 'crash broken' 'sleeper sleeper' | head -n 1"
    (process_sandbox.folder / "piped.py").write_text(SUPERVISE)
    pipeline = process_sandbox.start("sh", "-c", program)
    assert pipeline.wait(20) == 0
    eventually(lambda: not any(map(is_alive, process_sandbox.all_pids())), "no process is left")


def reapers_of(supervisor: int) -> list[int]:
    pids = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            command = (folder / "cmdline").read_text()
        except OSError:
            continue
        if parent == supervisor and "orphan_reaper.py" in command:
            pids.append(int(folder.name))
    return pids

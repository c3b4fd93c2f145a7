import fcntl
import os
import signal
import sys
import time
from pathlib import Path

FAKE_PROGRAMS = str(Path(__file__).with_name("fake_commands.py"))
SUPERVISE = f"""
import os, sys
from portal.processes.program import BackOff, Program
from portal.processes.supervisor import Supervisor

grace, *programs = sys.argv[1:]
with Supervisor(os.environ, grace_seconds=float(grace), back_off=BackOff(0.02, 0.1)) as supervisor:
    for words in programs:
        kind, name = words.split()
        supervisor.start(Program(name, (sys.executable, "-u", {FAKE_PROGRAMS!r}, kind, name), last=name == "data"))
    supervisor.run()
print("clean end")
"""


def test_a_child_that_is_killed_is_started_again(process_sandbox, eventually):
    scene = process_sandbox
    scene.run_python(SUPERVISE, "5", "sleeper sleeper")
    eventually(lambda: len(scene.pids("sleeper")) == 1, "the child runs")
    os.kill(scene.pids("sleeper")[0], signal.SIGKILL)
    eventually(lambda: len(scene.pids("sleeper")) == 2, "it runs again")
    assert "sleeper ended (signal 9); starting it again in" in scene.output()


def test_a_crash_loop_is_said_once_with_the_last_words_and_goes_on(process_sandbox, eventually):
    scene = process_sandbox
    scene.run_python(SUPERVISE, "5", "crash broken")
    eventually(lambda: len(scene.pids("broken")) >= 7, "seven attempts")
    notices = [line for line in scene.output().splitlines() if "5 times in a row" in line]
    assert notices == [
        "portal      | broken has failed 5 times in a row at starting. Its last words: broken cannot go on"
    ]


def test_a_child_that_ends_well_is_started_again_too(process_sandbox, eventually):
    scene = process_sandbox
    scene.run_python(SUPERVISE.replace('"-u"', '"-c", "print(\'one line\')"'), "5", "sleeper brief")
    eventually(lambda: scene.output().count("one line") >= 3, "three runs")
    assert "brief       | one line" in scene.output()
    assert "brief ended (exit code 0)" in scene.output()


def test_ctrl_c_ends_all_even_what_ignores_sigterm_in_a_group_of_its_own(process_sandbox, eventually, is_alive):
    scene = process_sandbox
    supervisor = scene.run_python(SUPERVISE, "0.5", "stubborn mule", "sleeper sleeper")
    eventually(lambda: len(scene.all_pids()) == 3, "all run")
    supervisor.send_signal(signal.SIGINT)
    assert supervisor.wait(15) == 0
    assert [pid for pid in scene.all_pids() if is_alive(pid)] == []
    assert "clean end" in scene.output()


def test_a_worker_finishes_its_job_before_it_ends(process_sandbox, eventually, is_alive):
    scene = process_sandbox
    supervisor = scene.run_python(SUPERVISE, "20", "rq sms")
    eventually(lambda: len(scene.all_pids()) == 2, "worker and horse run")
    supervisor.send_signal(signal.SIGTERM)
    eventually((scene.folder / "asked-to-stop").exists, "the worker is asked")
    assert is_alive(scene.pids("sms-horse")[0])
    (scene.folder / "finish-job").touch()
    assert supervisor.wait(15) == 0
    assert (scene.folder / "job-done").exists()


def test_a_horse_whose_worker_was_killed_is_ended_as_well(process_sandbox, eventually, is_alive):
    scene = process_sandbox
    supervisor = scene.run_python(SUPERVISE, "0.3", "rq sms")
    eventually(lambda: len(scene.all_pids()) == 2, "worker and horse run")
    os.kill(scene.pids("sms")[0], signal.SIGKILL)
    eventually(lambda: len(scene.pids("sms-horse")) == 2, "a second worker has its own horse")
    assert is_alive(scene.pids("sms-horse")[0])
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(15) == 0
    assert [pid for pid in scene.all_pids() if is_alive(pid)] == []


def test_a_second_ctrl_c_hurries(process_sandbox, eventually, is_alive):
    scene = process_sandbox
    supervisor = scene.run_python(SUPERVISE, "100", "stubborn mule")
    eventually(lambda: len(scene.all_pids()) == 2, "both run")
    asked_at = time.monotonic()
    supervisor.send_signal(signal.SIGINT)
    eventually(lambda: "Stopping" in scene.output(), "the stop began")
    eventually(lambda: time.monotonic() - asked_at > 0.6, "a second wish, not an echo of the first")
    supervisor.send_signal(signal.SIGINT)
    assert supervisor.wait(15) == 0
    assert [pid for pid in scene.all_pids() if is_alive(pid)] == []


def test_two_signals_at_once_are_one_wish(process_sandbox, eventually):
    scene = process_sandbox
    supervisor = scene.run_python(SUPERVISE, "20", "rq sms")
    eventually(lambda: len(scene.all_pids()) == 2, "worker and horse run")
    supervisor.send_signal(signal.SIGTERM)
    supervisor.send_signal(signal.SIGHUP)
    eventually((scene.folder / "asked-to-stop").exists, "the worker is asked")
    (scene.folder / "finish-job").touch()
    assert supervisor.wait(15) == 0
    assert (scene.folder / "job-done").exists()


def test_what_others_need_ends_last(process_sandbox, eventually, is_alive):
    scene = process_sandbox
    supervisor = scene.run_python(SUPERVISE, "20", "sleeper data", "rq sms")
    eventually(lambda: len(scene.all_pids()) == 3, "all run")
    supervisor.send_signal(signal.SIGTERM)
    eventually((scene.folder / "asked-to-stop").exists, "the worker is asked")
    assert is_alive(scene.pids("data")[0])
    (scene.folder / "finish-job").touch()
    assert supervisor.wait(15) == 0


def test_kill_9_of_the_supervisor_leaves_nobody(process_sandbox, eventually, is_alive):
    scene = process_sandbox
    supervisor = scene.run_python(SUPERVISE, "0.5", "stubborn mule", "sleeper sleeper", "crash broken")
    eventually(lambda: len(scene.pids("mule-horse")) == 1 and scene.pids("sleeper"), "all run")
    supervisor.send_signal(signal.SIGKILL)
    supervisor.wait(5)
    eventually(lambda: not any(map(is_alive, scene.all_pids())), "nobody is left")


def test_the_lock_of_a_killed_supervisor_is_held_until_its_last_child_is_gone(process_sandbox, eventually, is_alive):
    scene = process_sandbox
    lock = scene.folder / "lock"
    holding = SUPERVISE.replace(
        "with Supervisor(os.environ,", "with Supervisor(os.environ, hold_open=(lock,),"
    ).replace(
        "grace, *programs",
        f"import fcntl\nlock = os.open({str(lock)!r}, os.O_CREAT)\nfcntl.flock(lock, 2)\ngrace, *programs",
    )
    supervisor = scene.run_python(holding, "1", "stubborn mule")
    eventually(lambda: len(scene.all_pids()) == 2, "both run")
    supervisor.send_signal(signal.SIGKILL)
    supervisor.wait(5)
    with lock.open() as contender:
        fcntl.flock(contender, fcntl.LOCK_EX)
    assert not any(map(is_alive, scene.all_pids()))


def test_a_killed_guardian_is_replaced_and_knows_everybody(process_sandbox, eventually, is_alive):
    scene = process_sandbox
    supervisor = scene.run_python(SUPERVISE, "0.5", "stubborn mule")
    eventually(lambda: len(scene.all_pids()) == 2, "both run")
    first = reapers_of(supervisor.pid)
    assert len(first) == 1
    os.kill(first[0], signal.SIGKILL)
    eventually(lambda: reapers_of(supervisor.pid) not in ([], first), "another guardian")
    supervisor.send_signal(signal.SIGKILL)
    supervisor.wait(5)
    eventually(lambda: not any(map(is_alive, scene.all_pids())), "nobody is left")


def test_nobody_reading_the_output_ends_everything(process_sandbox, eventually, is_alive):
    scene = process_sandbox
    program = f"{sys.executable} {scene.folder / 'piped.py'} 5 'crash broken' 'sleeper sleeper' | head -n 1"
    (scene.folder / "piped.py").write_text(SUPERVISE)
    pipeline = scene.start("sh", "-c", program)
    assert pipeline.wait(20) == 0
    eventually(lambda: not any(map(is_alive, scene.all_pids())), "nobody is left")


def reapers_of(supervisor: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            command = (folder / "cmdline").read_text()
        except OSError:
            continue
        if parent == supervisor and "guardian.py" in command:
            found.append(int(folder.name))
    return found

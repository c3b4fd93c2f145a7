"""Measuring programs in processes of their own: all made ready, started at the same moment, asked for their cost."""

import contextlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from benchmarks.environment import ROOT

MeasuredProcess = subprocess.Popen[str]


@contextlib.contextmanager
def process_group(module: str, *arguments: str, count: int = 1) -> Iterator[list[MeasuredProcess]]:
    """So many processes of `benchmarks.<module>`, ready to begin; ended when they have not ended by themselves."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    with contextlib.ExitStack() as running:
        programs = [running.enter_context(_running(command)) for _ in range(count)]
        for program in programs:
            if _pipe(program.stdout).readline() != "ready\n":
                raise RuntimeError(f"benchmarks.{module} did not get ready")
        yield programs


def start_work(programs: list[MeasuredProcess]) -> None:
    """Give the word; a second one ends a program that would go on for ever."""
    for program in programs:
        pipe = _pipe(program.stdin)
        pipe.write("go\n")
        pipe.flush()


def collect_results(programs: list[MeasuredProcess]) -> list[dict[str, float]]:
    """What each measured, once it has ended."""
    return [json.loads(_pipe(program.stdout).read()) for program in programs]


def run_measured(work: Callable[[], object]) -> None:
    """The other side: say that all is ready, wait for the word, work, and print what it cost."""
    wait_for_start()
    began, before = time.perf_counter(), _cpu_seconds()
    work()
    seconds, cpu_seconds = time.perf_counter() - began, _cpu_seconds() - before
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_mb": _peak_mb()}), flush=True)


def wait_for_start() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


@contextlib.contextmanager
def _running(command: list[str]) -> Iterator[MeasuredProcess]:
    program = subprocess.Popen(
        command, cwd=ROOT, env=os.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield program
    finally:
        program.terminate()
        program.communicate()


def _pipe(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise RuntimeError("the program was started without pipes")
    return pipe


def _cpu_seconds() -> float:
    """Of this process and of those it forked and has seen end."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _peak_mb() -> float:
    """The most memory this process ever held. Linux passes `ru_maxrss` on from the process that started it."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 * 1024)

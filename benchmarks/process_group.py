"""Measured processes: prepared first, started at the same moment, then asked for their cost."""

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
    """`count` processes of `benchmarks.processes.<module>`, ready to start; terminated at the end if still running."""
    command = [sys.executable, "-m", f"benchmarks.processes.{module}", *arguments]
    with contextlib.ExitStack() as cleanup:
        processes = [cleanup.enter_context(_running(command)) for _ in range(count)]
        for process in processes:
            if _pipe(process.stdout).readline() != "ready\n":
                raise RuntimeError(f"benchmarks.processes.{module} failed to start")
        yield processes


def start_work(processes: list[MeasuredProcess]) -> None:
    _write_line(processes, "start")


def signal_stop(processes: list[MeasuredProcess]) -> None:
    """Stop processes that would otherwise run forever."""
    _write_line(processes, "stop")


def _write_line(processes: list[MeasuredProcess], command: str) -> None:
    for process in processes:
        pipe = _pipe(process.stdin)
        pipe.write(f"{command}\n")
        pipe.flush()


def collect_results(processes: list[MeasuredProcess]) -> list[dict[str, float]]:
    """Wait for every process to end and return what it measured."""
    return [json.loads(_pipe(process.stdout).read()) for process in processes]


def run_measured(work: Callable[[], object]) -> None:
    """Inside a measured process: report ready, wait for the start, do the work and print its cost."""
    wait_for_start()
    started, cpu_before = time.perf_counter(), _cpu_seconds()
    work()
    seconds, cpu_seconds = time.perf_counter() - started, _cpu_seconds() - cpu_before
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_mb": _peak_mb()}), flush=True)


def wait_for_start() -> None:
    print("ready", flush=True)
    sys.stdin.readline()


@contextlib.contextmanager
def _running(command: list[str]) -> Iterator[MeasuredProcess]:
    process = subprocess.Popen(
        command, cwd=ROOT, env=os.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


def _pipe(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise RuntimeError("the process was started without pipes")
    return pipe


def _cpu_seconds() -> float:
    """CPU time of this process and of the child processes it has waited for."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _peak_mb() -> float:
    """Peak resident memory of this process. On Linux `ru_maxrss` would include the parent's peak before exec."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 * 1024)

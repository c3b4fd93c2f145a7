"""`make bench`: runs every chapter and writes benchmarks/RESULTS.md; with names of chapters, prints those only."""

import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import callbacks, fan_out, forecast, goals, pace, throughput, urgent
from benchmarks.environment import LATENCY_MS

Benchmark = Callable[[], list[str]]
_BENCHMARKS: dict[str, tuple[str, Benchmark]] = {
    "pace": ("Pace", pace.run),
    "throughput": ("One worker beside others", throughput.run),
    "urgent": ("An urgent text past a long lane", urgent.run),
    "fan_out": ("Fan-out", fan_out.run),
    "callbacks": ("Status callbacks", callbacks.run),
    "forecast": ("Forecast", forecast.run),
}
_RESULTS = Path(__file__).parent / "RESULTS.md"


def main(names: list[str]) -> int:
    unknown = set(names) - set(_BENCHMARKS)
    if unknown:
        print(f"No such chapter: {', '.join(sorted(unknown))}. There are {', '.join(_BENCHMARKS)}.", file=sys.stderr)
        return 2
    began, load, loop = time.monotonic(), os.getloadavg()[0], [_loop_seconds()]
    chapters = [line for name in names or _BENCHMARKS for line in _run_benchmark(*_BENCHMARKS[name])]
    loop.append(_loop_seconds())
    text = "\n".join([*_header_lines(time.monotonic() - began, load, loop), *chapters])
    if not names:
        _RESULTS.write_text(text)
    print(text)
    return 0


def _run_benchmark(title: str, run: Benchmark) -> list[str]:
    """Shown at once as well: a run takes long, and a later chapter may fail."""
    print(f"{title} ...", file=sys.stderr, flush=True)
    lines = [f"## {title}", "", *run(), ""]
    print("\n".join(lines), file=sys.stderr, flush=True)
    return lines


def _loop_seconds() -> float:
    """Of CPU for adding one five million times: what absolute figures of two runs have to be divided by."""
    began, number = time.process_time(), 0
    while number < 5_000_000:
        number += 1
    return time.process_time() - began


def _header_lines(seconds: float, load: float, loop: list[float]) -> list[str]:
    return [
        "# Results",
        "",
        f"One run of {seconds / 60:.0f} minutes on {platform.machine()}, Python {platform.python_version()}, SQLite; "
        f"the simulator on the same machine answers after {LATENCY_MS} ms. Read the ratios: what is compared was "
        "measured by turns, in processes of its own. "
        f"On {os.cpu_count()} cores, {load:.1f} programs wanted to run in the minute before. "
        f"Adding one five million times took {loop[0]:.2f} s of CPU before and {loop[1]:.2f} s after.",
        "",
        *goals.table(),
        "",
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

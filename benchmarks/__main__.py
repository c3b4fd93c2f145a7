"""`make bench`: run every benchmark and write benchmarks/RESULTS.md. Given names, run those and only print."""

import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import (
    callbacks,
    claims,
    confirmation,
    fan_out,
    forecast,
    pacing,
    polling,
    records,
    targets,
    throughput,
    urgent,
)
from benchmarks.authentication import sign_in_flood
from benchmarks.environment import LATENCY_MS
from benchmarks.searching import page_times

Benchmark = Callable[[], list[str]]
_BENCHMARKS: dict[str, tuple[str, Benchmark]] = {
    "pacing": ("Pacing", pacing.run),
    "throughput": ("Throughput of one worker", throughput.run),
    "claims": ("Claim and record without the network", claims.run),
    "urgent": ("Urgent text ahead of a long queue", urgent.run),
    "confirmation": ("Check of a large send", confirmation.run),
    "fan_out": ("Fan-out", fan_out.run),
    "polling": ("Browsers that watch a send", polling.run),
    "callbacks": ("Status callbacks", callbacks.run),
    "forecast": ("Forecast", forecast.run),
    "records": ("Export, retention and import", records.run),
    "sign_in": ("Signing in while strangers guess", sign_in_flood.run),
    "search": ("Search of communications", page_times.run),
}
_RESULTS = Path(__file__).parent / "RESULTS.md"


def main(names: list[str]) -> int:
    unknown = set(names) - set(_BENCHMARKS)
    if unknown:
        message = f"Unknown benchmark: {', '.join(sorted(unknown))}. Choose from {', '.join(_BENCHMARKS)}."
        print(message, file=sys.stderr)
        return 2
    started, load_average, loop_seconds = time.monotonic(), os.getloadavg()[0], [_time_loop()]
    sections = [line for name in names or _BENCHMARKS for line in _run_benchmark(*_BENCHMARKS[name])]
    loop_seconds.append(_time_loop())
    text = "\n".join([*_header_lines(time.monotonic() - started, load_average, loop_seconds), *sections])
    if not names:
        _RESULTS.write_text(text)
    print(text)
    return 0


def _run_benchmark(title: str, run: Benchmark) -> list[str]:
    """Also prints the result at once: a full run takes long, and a later benchmark may fail."""
    print(f"{title} ...", file=sys.stderr, flush=True)
    lines = [f"## {title}", "", *run(), ""]
    print("\n".join(lines), file=sys.stderr, flush=True)
    return lines


def _time_loop() -> float:
    """CPU seconds of five million increments. Divide absolute figures by this to compare runs."""
    started, count = time.process_time(), 0
    while count < 5_000_000:
        count += 1
    return time.process_time() - started


def _header_lines(seconds: float, load_average: float, loop_seconds: list[float]) -> list[str]:
    return [
        "# Results",
        "",
        f"One run of {seconds / 60:.0f} minutes on {platform.machine()}, Python {platform.python_version()}, SQLite; "
        f"the simulator on the same machine answers after {LATENCY_MS} ms. Compare the ratios: the alternatives ran "
        "alternately, each in its own process. "
        f"{os.cpu_count()} cores; load average {load_average:.1f} at the start. "
        f"Five million increments took {loop_seconds[0]:.2f} s of CPU before and {loop_seconds[1]:.2f} s after.",
        "",
        *targets.table(),
        "",
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

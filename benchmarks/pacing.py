"""Pacing: the share of the permitted rate that workers use, and the busiest second."""

import contextlib
from dataclasses import dataclass
from statistics import median

from benchmarks import targets
from benchmarks.arrivals import arrivals_ms, busiest_second, share_of_rate
from benchmarks.environment import fresh_portal, fresh_simulator, queue_texts
from benchmarks.process_group import MeasuredProcess, collect_results, process_group, start_work

SECONDS = 30
WORKERS = (1, 4)
RATE_GROUPS: tuple[tuple[float, ...], ...] = ((1, 3, 12), (100,), (250,))
"""Slow rates barely affect each other, so they run at the same time, each in its own environment."""

REPEATS = 3
_EXTRA_SECONDS = 3


@dataclass(frozen=True)
class PacingResult:
    rate: float
    workers: int
    share_of_rate: float
    busiest_second: int


def run() -> list[str]:
    lines = [
        f"Medians of {REPEATS} runs of {SECONDS} s, alternating between 1 and 4 worker processes. "
        "1, 3 and 12/s run at the same time in separate environments. The share counts intervals, not texts.",
        "",
        "| permitted segments/s | workers | share used | busiest second | share by run | busiest second by run |",
        "|---|---|---|---|---|---|",
    ]
    for rates in RATE_GROUPS:
        results = [result for _ in range(REPEATS) for workers in WORKERS for result in measure(rates, workers)]
        for rate in rates:
            for workers in WORKERS:
                lines.append(_line([result for result in results if (result.rate, result.workers) == (rate, workers)]))
    return [*lines, *_with_email_lane()]


def _with_email_lane() -> list[str]:
    """The email worker sends the same people's emails on the same machine meanwhile."""
    lines = ["", "| beside the email worker, at 100/s | share used | busiest second |", "|---|---|---|"]
    for workers in WORKERS:
        results = [measure((100,), workers, with_email=True)[0] for _ in range(REPEATS)]
        share = median(result.share_of_rate for result in results)
        busiest = median(result.busiest_second for result in results)
        label = f"100/s beside email, {workers} worker{'s' * (workers > 1)}"
        targets.at_least(f"{label}: share of the rate used", share, 0.99)
        targets.at_most(f"{label}: busiest second", busiest, max_texts_per_second(100), "{:.0f}")
        lines.append(f"| {workers} workers | {share:.3f} | {busiest:.0f} |")
    return lines


def measure(
    rates: tuple[float, ...], workers: int, seconds: float = SECONDS, with_email: bool = False
) -> list[PacingResult]:
    """All rates at the same time, each in its own environment."""
    with contextlib.ExitStack() as environments:
        urls: list[str] = []
        processes: list[MeasuredProcess] = []
        for rate in rates:
            url = environments.enter_context(fresh_simulator())
            app = environments.enter_context(fresh_portal(url))
            queue_texts(int(rate * (seconds + _EXTRA_SECONDS)) + 1, rate)
            instance = str(app.config["PORTAL"].instance)
            urls.append(url)
            processes += environments.enter_context(
                process_group("portal_worker", instance, url, str(seconds + _EXTRA_SECONDS), count=workers)
            )
            if with_email:
                duration = str(seconds + _EXTRA_SECONDS)
                processes += environments.enter_context(process_group("email_worker", instance, url, duration))
        start_work(processes)
        collect_results(processes)
        return [_result(rate, workers, arrivals_ms(url), seconds) for rate, url in zip(rates, urls, strict=True)]


def _result(rate: float, workers: int, at_ms: list[int], seconds: float) -> PacingResult:
    return PacingResult(rate, workers, share_of_rate(at_ms, rate, seconds), busiest_second(at_ms))


def max_texts_per_second(rate: float) -> float:
    """The target for the busiest second: one text or 2 % above the limit, whichever is more."""
    return max(rate + 1, 1.02 * rate)


def _line(results: list[PacingResult]) -> str:
    rate, workers = results[0].rate, results[0].workers
    share = median(result.share_of_rate for result in results)
    busiest = median(result.busiest_second for result in results)
    label = f"{rate:g}/s, {workers} worker{'s' * (workers > 1)}"
    targets.at_least(f"{label}: share of the rate used", share, 0.99)
    targets.at_most(f"{label}: busiest second", busiest, max_texts_per_second(rate), "{:.0f}")
    shares = " ".join(f"{result.share_of_rate:.3f}" for result in results)
    counts = " ".join(f"{result.busiest_second}" for result in results)
    return f"| {rate:g} | {workers} | {share:.3f} | {busiest:.0f} | {shares} | {counts} |"

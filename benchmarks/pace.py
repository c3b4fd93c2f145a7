"""How much of the permitted rate worker processes use, and how full the busiest second is."""

import contextlib
from dataclasses import dataclass
from statistics import median

from benchmarks import goals
from benchmarks.arrivals import arrivals_ms, busiest_second, share_of_rate
from benchmarks.environment import fresh_portal, fresh_simulator, queue_texts
from benchmarks.process_group import MeasuredProcess, collect_results, process_group, start_work

SECONDS = 30
WORKERS = (1, 4)
RATE_GROUPS: tuple[tuple[float, ...], ...] = ((1, 3, 12), (100,), (250,))
"""Slow rates disturb each other little, so they are measured at the same time, each with a stage of its own."""
REPEATS = 3
_SPARE_SECONDS = 3


@dataclass(frozen=True)
class PacingResult:
    rate: float
    workers: int
    share_of_rate: float
    busiest_second: int


def run() -> list[str]:
    lines = [
        f"Each rate {REPEATS} times for {SECONDS} s with 1 and with 4 worker processes, by turns; medians. "
        f"1, 3 and 12/s run at the same time on stages of their own. The share counts intervals, not texts.",
        "",
        "| permitted segments/s | workers | share used | busiest sliding second | the shares | the busiest |",
        "|---|---|---|---|---|---|",
    ]
    for rates in RATE_GROUPS:
        rounds = [found for _ in range(REPEATS) for workers in WORKERS for found in measure(rates, workers)]
        for rate in rates:
            for workers in WORKERS:
                lines.append(_line([each for each in rounds if (each.rate, each.workers) == (rate, workers)]))
    return lines


def measure(rates: tuple[float, ...], workers: int, seconds: float = SECONDS) -> list[PacingResult]:
    """Each rate on a stage of its own, all at the same time."""
    with contextlib.ExitStack() as stages:
        urls: list[str] = []
        programs: list[MeasuredProcess] = []
        for rate in rates:
            url = stages.enter_context(fresh_simulator())
            app = stages.enter_context(fresh_portal(url))
            queue_texts(int(rate * (seconds + _SPARE_SECONDS)) + 1, rate)
            instance = str(app.config["PORTAL"].instance)
            urls.append(url)
            programs += stages.enter_context(
                process_group("worker", instance, url, str(seconds + _SPARE_SECONDS), count=workers)
            )
        start_work(programs)
        collect_results(programs)
        return [_pace(rate, workers, arrivals_ms(url), seconds) for rate, url in zip(rates, urls, strict=True)]


def _pace(rate: float, workers: int, at_ms: list[int], seconds: float) -> PacingResult:
    return PacingResult(rate, workers, share_of_rate(at_ms, rate, seconds), busiest_second(at_ms))


def max_texts_per_second(rate: float) -> float:
    """The goal: one more than the limit, or two of a hundred where that is more."""
    return max(rate + 1, 1.02 * rate)


def _line(found: list[PacingResult]) -> str:
    rate, workers = found[0].rate, found[0].workers
    used, full = median(each.share_of_rate for each in found), median(each.busiest_second for each in found)
    what = f"{rate:g}/s, {workers} worker{'s' * (workers > 1)}"
    goals.at_least(f"{what}: share of the rate used", used, 0.99)
    goals.at_most(f"{what}: busiest second", full, max_texts_per_second(rate), "{:.0f}")
    shares, fullest = (
        " ".join(f"{each.share_of_rate:.3f}" for each in found),
        " ".join(f"{each.busiest_second}" for each in found),
    )
    return f"| {rate:g} | {workers} | {used:.3f} | {full:.0f} | {shares} | {fullest} |"

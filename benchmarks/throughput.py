"""Throughput of one portal worker, compared with the baseline client and with common alternatives."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

from benchmarks import targets
from benchmarks.arrivals import arrivals_ms, busiest_second, rate_per_second, share_of_rate
from benchmarks.environment import fresh_portal, fresh_simulator, queue_texts
from benchmarks.process_group import MeasuredProcess, collect_results, process_group, start_work
from benchmarks.redis_server import redis_server
from portal.gateways.provider import MAX_IN_FLIGHT

REPEATS = 3
TEXTS = 3_000
RATE = 12
SECONDS = 30
_NO_LIMIT = 1_000
_MAX_SECONDS = 120
_RQ_TEXTS = {"forking": 40, "simple": 80}


@dataclass(frozen=True)
class ThroughputResult:
    """Arrivals per second, and CPU milliseconds per text in the sending process and its children."""

    texts_per_second: float
    cpu_ms: float


Implementation = Callable[[], ThroughputResult]


def run() -> list[str]:
    return [*_compare_unlimited(), "", *_compare_limited()]


def _compare_unlimited() -> list[str]:
    implementations: dict[str, Implementation] = {
        "one portal worker": measure_portal,
        f"baseline: Twilio client, {MAX_IN_FLIGHT} threads": measure_baseline,
        f"dramatiq, one process, {MAX_IN_FLIGHT} threads": measure_dramatiq,
        "RQ, one job per text, forking Worker": lambda: measure_rq("forking"),
        "RQ, one job per text, SimpleWorker": lambda: measure_rq("simple"),
    }
    rounds = [{name: measure() for name, measure in implementations.items()} for _ in range(REPEATS)]
    medians = {name: _median([results[name] for results in rounds]) for name in implementations}
    portal, baseline, *_ = implementations
    speed = median(results[portal].texts_per_second / results[baseline].texts_per_second for results in rounds)
    cost = median(results[portal].cpu_ms / results[baseline].cpu_ms for results in rounds)
    targets.at_least("no limit: texts/s relative to the baseline client", speed, 0.9, "{:.2f}")
    targets.at_most("no limit: CPU per text relative to the baseline client", cost, 1.25, "{:.2f}")
    return [
        f"{TEXTS:,} texts (RQ: {_RQ_TEXTS['forking']} and {_RQ_TEXTS['simple']}); medians of {REPEATS} alternating "
        "runs. CPU of the sending process and its children only. The simulator, one process on the same machine, "
        "partly limits the first three; the CPU per text does not depend on it.",
        "",
        "| no limit | texts/s | CPU ms per text |",
        "|---|---|---|",
        *(f"| {name} | {result.texts_per_second:.0f} | {result.cpu_ms:.2f} |" for name, result in medians.items()),
        f"| portal worker / baseline client, median of {REPEATS} ratios | {speed:.2f} | {cost:.2f} |",
    ]


def _compare_limited() -> list[str]:
    rounds = [measure_limited() for _ in range(REPEATS)]
    lines = []
    for name in rounds[0]:
        share = median(share_of_rate(arrivals[name], RATE, SECONDS) for arrivals in rounds)
        busiest = median(busiest_second(arrivals[name]) for arrivals in rounds)
        lines.append(f"| {name} | {share:.3f} | {busiest:.0f} |")
    return [
        f"Medians of {REPEATS} runs, both at the same time.",
        "",
        f"| at {RATE}/s for {SECONDS} s | share used | busiest second |",
        "|---|---|---|",
        *lines,
    ]


def measure_portal(texts: int = TEXTS) -> ThroughputResult:
    with fresh_simulator() as url, fresh_portal(url) as app:
        queue_texts(texts, _NO_LIMIT)
        with process_group("portal_worker", str(app.config["PORTAL"].instance), url, str(_MAX_SECONDS)) as processes:
            return _run(processes, url)


def measure_baseline(texts: int = TEXTS) -> ThroughputResult:
    with fresh_simulator() as url, process_group("baseline_client", url, str(texts)) as processes:
        return _run(processes, url)


def measure_dramatiq(texts: int = TEXTS) -> ThroughputResult:
    with (
        _redis_and_simulator() as (redis_url, url),
        process_group("dramatiq_worker", redis_url, url, str(texts), "0") as processes,
    ):
        return _run(processes, url)


def measure_rq(kind: str) -> ThroughputResult:
    texts = str(_RQ_TEXTS[kind])
    with (
        _redis_and_simulator() as (redis_url, url),
        process_group("rq_worker", kind, redis_url, url, texts) as processes,
    ):
        return _run(processes, url)


def measure_limited() -> dict[str, list[int]]:
    """Arrival times. Both run at once because neither keeps the machine busy at this rate."""
    texts, seconds = RATE * (SECONDS + 3), str(SECONDS + 3)
    with fresh_simulator() as url, fresh_portal(url) as app, _redis_and_simulator() as (redis_url, dramatiq_url):
        queue_texts(texts, RATE)
        with (
            process_group("portal_worker", str(app.config["PORTAL"].instance), url, seconds) as portal_workers,
            process_group("dramatiq_worker", redis_url, dramatiq_url, str(texts), str(RATE)) as dramatiq_workers,
        ):
            start_work([*portal_workers, *dramatiq_workers])
            collect_results([*portal_workers, *dramatiq_workers])
        return {"one portal worker": arrivals_ms(url), "dramatiq's BucketRateLimiter": arrivals_ms(dramatiq_url)}


@contextlib.contextmanager
def _redis_and_simulator() -> Iterator[tuple[str, str]]:
    """The URLs of a Valkey server and a simulator, for the alternatives."""
    with redis_server() as redis_url, fresh_simulator() as url:
        yield redis_url, url


def _run(processes: list[MeasuredProcess], url: str) -> ThroughputResult:
    start_work(processes)
    (cost,) = collect_results(processes)
    at_ms = arrivals_ms(url)
    return ThroughputResult(rate_per_second(at_ms), 1000 * cost["cpu_seconds"] / len(at_ms))


def _median(results: list[ThroughputResult]) -> ThroughputResult:
    speeds, costs = zip(*((result.texts_per_second, result.cpu_ms) for result in results), strict=True)
    return ThroughputResult(median(speeds), median(costs))

"""One worker of ours, everything included, beside the bare client and beside what one would build instead."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

from benchmarks import goals
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
_LONGEST_SECONDS = 120
_PLAIN_TEXTS = {"forking": 40, "simple": 80}


@dataclass(frozen=True)
class ThroughputResult:
    """Texts a second as they arrived, and milliseconds of CPU for each in the sending process and its children."""

    texts_per_second: float
    cpu_ms: float


Implementation = Callable[[], ThroughputResult]


def run() -> list[str]:
    return [*_without_a_limit(), "", *_with_a_limit()]


def _without_a_limit() -> list[str]:
    contenders: dict[str, Implementation] = {
        "one worker of ours, everything included": measure_portal,
        f"the measure_bare_client Twilio client, {MAX_IN_FLIGHT} threads": measure_bare_client,
        f"measure_dramatiq, one process, {MAX_IN_FLIGHT} threads": measure_dramatiq,
        "RQ, a job a text, forking Worker": lambda: measure_rq("forking"),
        "RQ, a job a text, SimpleWorker": lambda: measure_rq("simple"),
    }
    rounds = [{name: contend() for name, contend in contenders.items()} for _ in range(REPEATS)]
    found = {name: _median([each[name] for each in rounds]) for name in contenders}
    mine, floor, *_ = contenders
    speed = median(each[mine].texts_per_second / each[floor].texts_per_second for each in rounds)
    cost = median(each[mine].cpu_ms / each[floor].cpu_ms for each in rounds)
    goals.at_least("no limit: texts/s of the bare client's", speed, 0.9, "{:.2f}")
    goals.at_most("no limit: CPU a text of the bare client's", cost, 1.25, "{:.2f}")
    return [
        f"{TEXTS:,} texts (RQ: {_PLAIN_TEXTS['forking']} and {_PLAIN_TEXTS['simple']}), each in turn, {REPEATS} times; "
        "medians. CPU of the sending process and its children alone. The simulator, one process on the same machine, "
        "has a share in what limits the first three; the CPU a text does not depend on that.",
        "",
        "| without a limit | texts/s | ms of CPU a text |",
        "|---|---|---|",
        *(f"| {name} | {each.texts_per_second:.0f} | {each.cpu_ms:.2f} |" for name, each in found.items()),
        f"| ours to the bare client, median of {REPEATS} ratios | {speed:.2f} | {cost:.2f} |",
    ]


def _with_a_limit() -> list[str]:
    rounds = [measure_limited() for _ in range(REPEATS)]
    lines = []
    for name in rounds[0]:
        used = median(share_of_rate(each[name], RATE, SECONDS) for each in rounds)
        full = median(busiest_second(each[name]) for each in rounds)
        lines.append(f"| {name} | {used:.3f} | {full:.0f} |")
    return [
        f"Both at the same time, {REPEATS} times; medians.",
        "",
        f"| at {RATE}/s for {SECONDS} s | share used | busiest sliding second |",
        "|---|---|---|",
        *lines,
    ]


def measure_portal(texts: int = TEXTS) -> ThroughputResult:
    with fresh_simulator() as url, fresh_portal(url) as app:
        queue_texts(texts, _NO_LIMIT)
        with process_group("worker", str(app.config["PORTAL"].instance), url, str(_LONGEST_SECONDS)) as programs:
            return _run(programs, url)


def measure_bare_client(texts: int = TEXTS) -> ThroughputResult:
    with fresh_simulator() as url, process_group("bare_client", url, str(texts)) as programs:
        return _run(programs, url)


def measure_dramatiq(texts: int = TEXTS) -> ThroughputResult:
    with (
        _redis_and_simulator() as (redis_url, url),
        process_group("dramatiq_worker", redis_url, url, str(texts), "0") as programs,
    ):
        return _run(programs, url)


def measure_rq(kind: str) -> ThroughputResult:
    texts = str(_PLAIN_TEXTS[kind])
    with (
        _redis_and_simulator() as (redis_url, url),
        process_group("rq_worker", kind, redis_url, url, texts) as programs,
    ):
        return _run(programs, url)


def measure_limited() -> dict[str, list[int]]:
    """When each text arrived; both at once, since at this rate neither keeps the machine busy."""
    texts, seconds = RATE * (SECONDS + 3), str(SECONDS + 3)
    with fresh_simulator() as our_url, fresh_portal(our_url) as app, _redis_and_simulator() as (redis_url, their_url):
        queue_texts(texts, RATE)
        with (
            process_group("worker", str(app.config["PORTAL"].instance), our_url, seconds) as our_worker,
            process_group("dramatiq_worker", redis_url, their_url, str(texts), str(RATE)) as their_worker,
        ):
            start_work([*our_worker, *their_worker])
            collect_results([*our_worker, *their_worker])
        return {
            "one worker of ours": arrivals_ms(our_url),
            "measure_dramatiq's BucketRateLimiter": arrivals_ms(their_url),
        }


@contextlib.contextmanager
def _redis_and_simulator() -> Iterator[tuple[str, str]]:
    """What others need: the addresses of a Valkey and of a simulator."""
    with redis_server() as redis_url, fresh_simulator() as url:
        yield redis_url, url


def _run(programs: list[MeasuredProcess], url: str) -> ThroughputResult:
    start_work(programs)
    (cost,) = collect_results(programs)
    at_ms = arrivals_ms(url)
    return ThroughputResult(rate_per_second(at_ms), 1000 * cost["cpu_seconds"] / len(at_ms))


def _median(runs: list[ThroughputResult]) -> ThroughputResult:
    return ThroughputResult(median(each.texts_per_second for each in runs), median(each.cpu_ms for each in runs))

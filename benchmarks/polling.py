"""50 browsers that watch a send of 100,000 texts: CPU of the web process for each poll, and the pace of the send."""

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from requests.adapters import HTTPAdapter

from benchmarks import pages, targets
from benchmarks.arrivals import create_calls, share_of_rate
from benchmarks.environment import fresh_portal, fresh_simulator, queue_texts, serve_app
from benchmarks.process_group import collect_results, process_group, start_work
from portal.core.extensions import db

TEXTS, RATE, SECONDS, REPEATS = 100_000, 50, 20, 3
PATHS = ("/Admin/Sends/1/progress", "/SysAdmin/Queues/now")
BROWSERS, POLL_SECONDS = 50, 2
"""Half of the browsers are on each page. Two seconds is the shortest interval of both."""
_EXTRA_SECONDS = 2


@dataclass
class Turn:
    """What one run of the worker was like; `cpu_ms` is that of each poll."""

    share_of_rate: float
    cpu_ms: float = 0
    polls_ms: list[float] = field(default_factory=list)


def run() -> list[str]:
    with fresh_simulator() as simulator, fresh_portal(simulator) as app:
        queue_texts(TEXTS, RATE)
        pages.add_admin("sysadmin")
        instance = app.config["PORTAL"].instance
        db.session.remove()
        with serve_app(instance) as url:
            alone, watched = [], []
            for _ in range(REPEATS):
                alone.append(_send(instance, simulator))
                watched.append(_send_watched(instance, simulator, url))
    return _lines(alone, watched)


def _send(instance: Path, simulator: str) -> Turn:
    first = max((int(call["n"]) for call in create_calls(simulator)), default=0)
    seconds = SECONDS + _EXTRA_SECONDS
    with process_group("portal_worker", str(instance), simulator, str(seconds)) as workers:
        start_work(workers)
        collect_results(workers)
    at_ms = sorted(int(call["at_ms"]) for call in create_calls(simulator, after=first))
    return Turn(share_of_rate(at_ms, RATE, SECONDS))


def _send_watched(instance: Path, simulator: str, url: str) -> Turn:
    cpu_before = web_cpu_ms(url)
    with _browsers(url) as polls_ms:
        turn = _send(instance, simulator)
    turn.polls_ms = polls_ms
    turn.cpu_ms = (web_cpu_ms(url) - cpu_before) / len(polls_ms)
    return turn


@contextlib.contextmanager
def _browsers(url: str) -> Iterator[list[float]]:
    """The milliseconds of each poll, complete at the end."""
    session, stop, polls_ms = pages.sign_in(url), threading.Event(), list[float]()
    session.mount(url, HTTPAdapter(pool_maxsize=BROWSERS, max_retries=1))  # as browsers do when a connection was closed

    def watch(number: int) -> None:
        path = PATHS[number % len(PATHS)]
        stop.wait(POLL_SECONDS * number / BROWSERS)
        while not stop.is_set():
            started = time.perf_counter()
            answer = session.get(f"{url}{path}", headers={"HX-Request": "true"}, allow_redirects=False, timeout=60)
            polls_ms.append(1000 * (time.perf_counter() - started))
            if answer.status_code != 200:
                raise RuntimeError(f"{path} answered {answer.status_code}")
            stop.wait(POLL_SECONDS)

    with ThreadPoolExecutor(BROWSERS) as pool:
        watching = [pool.submit(watch, number) for number in range(BROWSERS)]
        try:
            yield polls_ms
        finally:
            stop.set()
    for browser in watching:
        browser.result()


def web_cpu_ms(url: str) -> float:
    """Of the processes that serve this address, with all their threads. Linux alone tells it."""
    address, ticks = url.removeprefix("http://").encode(), 0
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if folder.name.isdecimal() and address in (folder / "cmdline").read_bytes().split(b"\0"):
                user, system = (folder / "stat").read_text().rpartition(")")[2].split()[11:13]
                ticks += int(user) + int(system)
    return 1_000 * ticks / os.sysconf("SC_CLK_TCK")


def _lines(alone: list[Turn], watched: list[Turn]) -> list[str]:
    cpu_ms = median(turn.cpu_ms for turn in watched)
    shares = [median(turn.share_of_rate for turn in turns) for turns in (alone, watched)]
    p95_ms = median(pages.p95(turn.polls_ms) for turn in watched)
    targets.at_most(f"{BROWSERS} browsers watch a send: CPU of a poll", cpu_ms, 10, "{:.1f} ms")
    targets.at_least(f"{BROWSERS} browsers watch a send: its pace against unwatched", shares[1] / shares[0], 0.99)
    return [
        f"{TEXTS:,} texts wait and leave at {RATE} a second. {BROWSERS} browsers poll every {POLL_SECONDS} s, half the "
        f"page of the send and half that of the queues. Medians of {REPEATS} turns of {SECONDS} s.",
        "",
        "| browsers | polls | CPU of a poll | p95 of a poll | share of the rate used |",
        "|---|---|---|---|---|",
        f"| none | | | | {shares[0]:.3f} |",
        f"| {BROWSERS} | {sum(len(turn.polls_ms) for turn in watched):,} | {cpu_ms:.1f} ms | {p95_ms:.0f} ms "
        f"| {shares[1]:.3f} |",
    ]

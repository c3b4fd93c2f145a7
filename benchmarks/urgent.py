"""Latency of an urgent text while thousands of others wait."""

import random
import time
from statistics import median

from sqlalchemy import event

from benchmarks import targets
from benchmarks.arrivals import create_calls
from benchmarks.environment import add_accounts, add_template, fresh_portal, fresh_simulator, queue_texts
from benchmarks.process_group import process_group, start_work
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.sends import fan_out, send_creation

BACKLOG = 10_000
RATE = 3
REPEATS = 10
_URGENT_NUMBER = 9_000_000
_MAX_SECONDS = 600
_TIMEOUT_SECONDS = 30
_POLL_SECONDS = 0.02


def run() -> list[str]:
    with fresh_simulator() as url, fresh_portal(url) as app:
        queue_texts(BACKLOG, RATE)
        add_accounts(1, "Urgent", _URGENT_NUMBER)
        add_template("urgent", urgent=True)
        with process_group("portal_worker", str(app.config["PORTAL"].instance), url, str(_MAX_SECONDS)) as processes:
            start_work(processes)
            _wait_for_arrival(url, f"+1415{2_000_000}", 0)
            randomness = random.Random(3)
            latencies = [_latency_ms(url, randomness.uniform(0.5, 1.5)) for _ in range(REPEATS)]
    label = f"urgent text ahead of {BACKLOG:,} bulk texts at {RATE}/s: worst of {REPEATS}"
    targets.at_most(label, max(latencies), 1000 + 1000 / RATE, "{:.0f} ms")
    return [
        f"While {BACKLOG:,} bulk texts wait at {RATE}/s: time from the commit of an urgent delivery to its arrival "
        f"at the simulator, {REPEATS} times at random moments.",
        "",
        "| median | worst | all, ms |",
        "|---|---|---|",
        f"| {median(latencies):.0f} ms | {max(latencies)} ms | {' '.join(map(str, sorted(latencies)))} |",
    ]


def _latency_ms(url: str, pause_seconds: float) -> int:
    time.sleep(pause_seconds)
    after = max(int(call["n"]) for call in create_calls(url))
    committed_ms = _send()
    return _wait_for_arrival(url, f"+1415{_URGENT_NUMBER}", after) - committed_ms


def _send() -> int:
    """The time at which the urgent delivery was committed: the first and only chunk of the fan-out."""
    send_id = send_creation.create_send("urgent", {"account_type": "Urgent"}, {}, None, now_ms())
    commits: list[int] = []

    def record_commit(_session: object) -> None:
        commits.append(now_ms())

    event.listen(db.session, "after_commit", record_commit)
    try:
        fan_out.fan_out_send(send_id, now_ms)
    finally:
        event.remove(db.session, "after_commit", record_commit)
    return commits[0]


def _wait_for_arrival(url: str, to: str, after: int) -> int:
    """Wait for a text to `to` among the requests after number `after`; returns its arrival time."""
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        arrivals = [int(call["at_ms"]) for call in create_calls(url, after) if call["to"] == to]
        if arrivals:
            return arrivals[0]
        time.sleep(_POLL_SECONDS)
    raise RuntimeError(f"the urgent text did not arrive within {_TIMEOUT_SECONDS} s")

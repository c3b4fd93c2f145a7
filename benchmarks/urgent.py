"""How soon an urgent text leaves while thousands of others wait."""

import random
import time
from statistics import median

from sqlalchemy import event

from benchmarks import goals
from benchmarks.arrivals import create_calls
from benchmarks.environment import add_accounts, add_template, fresh_portal, fresh_simulator, queue_texts
from benchmarks.process_group import process_group, start_work
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.sends import fan_out, send_creation

BACKLOG = 10_000
RATE = 3
REPEATS = 10
_NUMBER = 9_000_000
_LONGEST_SECONDS = 600
_GIVE_UP_SECONDS = 30
_POLL_SECONDS = 0.02


def run() -> list[str]:
    with fresh_simulator() as url, fresh_portal(url) as app:
        queue_texts(BACKLOG, RATE)
        add_accounts(1, "Urgent", _NUMBER)
        add_template("urgent", urgent=True)
        with process_group("worker", str(app.config["PORTAL"].instance), url, str(_LONGEST_SECONDS)) as programs:
            start_work(programs)
            _last_call(url, f"+1415{2_000_000}", 0)
            chance = random.Random(3)
            waits = [_wait_ms(url, chance.uniform(0.5, 1.5)) for _ in range(REPEATS)]
    bound = 1000 + 1000 / RATE
    goals.at_most(
        f"urgent text past {BACKLOG:,} bulk ones at {RATE}/s: worst of {REPEATS}", max(waits), bound, "{:.0f} ms"
    )
    return [
        f"While {BACKLOG:,} bulk texts wait at {RATE}/s: from the commit of an urgent delivery to the text's arrival "
        f"at the simulator, {REPEATS} times at moments by chance.",
        "",
        "| median | worst | each, ms |",
        "|---|---|---|",
        f"| {median(waits):.0f} ms | {max(waits)} ms | {' '.join(map(str, sorted(waits)))} |",
    ]


def _wait_ms(url: str, pause_seconds: float) -> int:
    time.sleep(pause_seconds)
    after = max(int(call["n"]) for call in create_calls(url))
    committed_ms = _send()
    return _last_call(url, f"+1415{_NUMBER}", after) - committed_ms


def _send() -> int:
    """When the urgent delivery was committed: with the first chunk of the fan-out, which is the only one."""
    send_id = send_creation.create_send("urgent", {"account_type": "Urgent"}, {}, None, now_ms())
    commits: list[int] = []

    def note(_session: object) -> None:
        commits.append(now_ms())

    event.listen(db.session, "after_commit", note)
    try:
        fan_out.fan_out_send(send_id, now_ms)
    finally:
        event.remove(db.session, "after_commit", note)
    return commits[0]


def _last_call(url: str, to: str, after: int) -> int:
    """When the text to this number arrived, among the calls after `after`; waits for it."""
    ends = time.monotonic() + _GIVE_UP_SECONDS
    while time.monotonic() < ends:
        found = [int(call["at_ms"]) for call in create_calls(url, after) if call["to"] == to]
        if found:
            return found[0]
        time.sleep(_POLL_SECONDS)
    raise RuntimeError(f"the urgent text did not arrive within {_GIVE_UP_SECONDS} s")

"""Making a large send ready on SQLite: time, memory, the write lock, and the pages meanwhile."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from sqlalchemy import text

from benchmarks import goals, pages
from benchmarks.environment import add_accounts, add_template, configure, fresh_portal, serve_app
from benchmarks.process_group import collect_results, process_group, start_work
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.sends import send_creation

RECIPIENTS = 100_000
REPEATS = 3
_NOWHERE = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Cost:
    seconds: float
    cpu_seconds: float
    peak_mb: float


@dataclass(frozen=True)
class FanOutImpact:
    """What others noticed during one fan-out."""

    cost: Cost
    longest_lock_ms: float
    pages_ms: dict[str, list[float]]


def run() -> list[str]:
    with _prepared_send() as (instance, send_id), tempfile.TemporaryDirectory(prefix="portal-bench-") as folder:
        done = Path(folder) / "done"
        shutil.copytree(instance, done)
        seen = _measure_with_load(done, send_id)
        rounds = [_side_by_side(instance, done, send_id, Path(folder) / "again") for _ in range(REPEATS)]
    return [*_comparison_lines(rounds), "", *_impact_lines(seen)]


@contextlib.contextmanager
def _prepared_send() -> Iterator[tuple[Path, int]]:
    """An instance with everybody in it, and a send of which nothing is ready yet."""
    with fresh_portal(_NOWHERE) as app:
        configure(100)
        add_accounts(RECIPIENTS)
        pages.add_admin()
        add_template()
        send_id = send_creation.create_send("load", {"account_type": "Load"}, {}, None, now_ms())
        db.session.remove()
        with db.engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
        db.engine.dispose()
        yield app.config["PORTAL"].instance, send_id


def _measure_with_load(instance: Path, send_id: int) -> FanOutImpact:
    paths = ["/Admin/Sends", f"/Admin/Sends/{send_id}", "/Admin/Communications"]
    with (
        serve_app(instance) as url,
        process_group("lock_watch", str(instance / "portal.sqlite")) as watchers,
        process_group("fanning_out", str(instance), str(send_id)) as (program,),
    ):
        session = pages.sign_in(url)
        start_work(watchers)
        start_work([program])
        took = pages.load_while(session, url, paths, lambda: program.poll() is None)
        (cost,) = collect_results([program])
        start_work(watchers)
        (lock,) = collect_results(watchers)
    return FanOutImpact(Cost(**cost), lock["longest_ms"], took)


def _side_by_side(instance: Path, done: Path, send_id: int, place: Path) -> tuple[Cost, Cost]:
    """Ours, then the bare insert, each into a fresh copy."""
    return (
        _cost(instance, place, "fanning_out", str(place), str(send_id)),
        _cost(instance, place, "bare_insert", str(done), str(place), str(send_id)),
    )


def _cost(instance: Path, place: Path, module: str, *arguments: str) -> Cost:
    shutil.copytree(instance, place)
    try:
        with process_group(module, *arguments) as programs:
            start_work(programs)
            return Cost(**collect_results(programs)[0])
    finally:
        shutil.rmtree(place)


def _comparison_lines(rounds: list[tuple[Cost, Cost]]) -> list[str]:
    lines = []
    for place, name in enumerate((f"fan-out to {RECIPIENTS:,}", "one bare insert of the same rows")):
        seconds = median(each[place].seconds for each in rounds)
        cpu_seconds = median(each[place].cpu_seconds for each in rounds)
        lines.append(f"| {name} | {seconds:.1f} | {cpu_seconds:.1f} | {RECIPIENTS / seconds:,.0f} |")
    slower = median(ours.seconds / bare.seconds for ours, bare in rounds)
    dearer = median(ours.cpu_seconds / bare.cpu_seconds for ours, bare in rounds)
    peak_mb = median(ours.peak_mb for ours, _ in rounds)
    goals.at_most(f"fan-out to {RECIPIENTS:,}: times a bare insert", slower, 3, "{:.2f}")
    goals.at_most(f"fan-out to {RECIPIENTS:,}: peak memory", peak_mb, 150, "{:.0f} MB")
    return [
        f"By turns, {REPEATS} times, each in a process of its own; medians. Its peak memory was {peak_mb:.0f} MB.",
        "",
        "| alone on the machine | s | s of CPU | recipients/s |",
        "|---|---|---|---|",
        *lines,
        f"| ratio, median of {REPEATS} | {slower:.2f} | {dearer:.2f} | |",
    ]


def _impact_lines(seen: FanOutImpact) -> list[str]:
    goals.at_most("fan-out: longest wait of another writer", seen.longest_lock_ms, 100, "{:.0f} ms")
    slowest = {path: pages.p95(took) for path, took in seen.pages_ms.items()}
    goals.at_most("fan-out: p95 of the slowest page meanwhile", max(slowest.values()), 300, "{:.0f} ms")
    return [
        f"Once more with a web process, an administrator and another writer beside it: {seen.cost.seconds:.1f} s. "
        f"The other writer waited {seen.longest_lock_ms:.0f} ms at most for the write lock.",
        "",
        "| page opened meanwhile | times | p95 |",
        "|---|---|---|",
        *(f"| {path} | {len(seen.pages_ms[path])} | {each:.0f} ms |" for path, each in slowest.items()),
    ]

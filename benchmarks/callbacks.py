"""Status callbacks, signed, against one web process: how many a second, none lost, none out of order in effect."""

import contextlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

import urllib3
from sqlalchemy import func, select

from benchmarks.stage import FROM, ROOT, SID, TOKEN, fill, portal
from portal.context import settings
from portal.extensions import db
from portal.models import batches, claims
from portal.models.communication import Delivery, Receipt
from simulator.signature import sign

TEXTS = 3_000
_STATUSES = ("queued", "sent", "delivered")
_PORT = 18_731
_CALLERS = 16


def run() -> list[str]:
    with portal("http://127.0.0.1:9") as app:
        fill(TEXTS, 1_000)
        attempts = _accepted()
        db.session.remove()
        with _web(app.config["PORTAL"].instance):
            calls = _calls(attempts)
            seconds, answers = _fire(calls)
        kept = db.session.scalar(select(func.count(Receipt.id)))
        delivered = db.session.scalar(
            select(func.count()).where(Delivery.channel == "sms", Delivery.state == "delivered")
        )
    pace = f"{seconds:.1f} | {len(calls) / seconds:.0f}"
    return [
        "| callbacks | seconds | a second | answered 204 | kept | texts delivered |",
        "|---|---|---|---|---|---|",
        f"| {len(calls):,} | {pace} | {answers:,} | {kept:,} | {delivered:,} of {TEXTS:,} |",
    ]


def _accepted() -> list[str]:
    """Texts that Twilio has taken; the ids of their attempts."""
    now = 1_700_000_000_000
    ids = list(db.session.scalars(select(Delivery.id).where(Delivery.channel == "sms", Delivery.state == "ready")))
    rows = [
        {
            "id": f"bench{delivery_id}",
            "delivery_id": delivery_id,
            "mode": "live",
            "account_sid": SID,
            "sender": FROM,
            "sent_to": "+14155550100",
            "started_at_ms": now,
            "slot_at_ms": now,
            "lease_until_ms": now,
        }
        for delivery_id in ids
    ]
    claims.start_attempts(rows, now)
    known = [
        {
            "delivery_id": row["delivery_id"],
            "attempt_id": row["id"],
            "provider_id": _sid(str(row["id"])),
            "http_status": 201,
            "answer": None,
        }
        for row in rows
    ]
    batches.accept(known, "accepted", now, now)
    db.session.commit()
    return [str(row["id"]) for row in rows]


def _sid(attempt_id: str) -> str:
    return "SM" + attempt_id.encode().hex().rjust(32, "0")


def _calls(attempts: list[str]) -> list[tuple[str, str, str]]:
    """Path, body and signature of every callback, out of order as they come from outside."""
    public_url = settings().public_url
    calls = []
    for attempt in attempts:
        for status in _STATUSES:
            path = f"/webhooks/twilio/status?attempt={attempt}"
            form = {
                "MessageSid": _sid(attempt),
                "MessageStatus": status,
                "AccountSid": SID,
                "From": FROM,
                "To": "+14155550100",
            }
            calls.append((path, urlencode(form), sign(TOKEN, public_url + path, form)))
    random.Random(7).shuffle(calls)
    return calls


def _fire(calls: list[tuple[str, str, str]]) -> tuple[float, int]:
    pool = urllib3.PoolManager(maxsize=_CALLERS)

    def call(one: tuple[str, str, str]) -> int:
        path, body, signature = one
        headers = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
        return pool.request("POST", f"http://127.0.0.1:{_PORT}{path}", body=body, headers=headers, retries=False).status

    began = time.perf_counter()
    with ThreadPoolExecutor(_CALLERS) as callers:
        answers = list(callers.map(call, calls))
    return time.perf_counter() - began, answers.count(204)


@contextlib.contextmanager
def _web(instance: object) -> Iterator[None]:
    env = {**os.environ, "PORTAL_INSTANCE": str(instance), "PORTAL_PUBLIC_URL": settings().public_url}
    command = [sys.executable, "-m", "portal", "web", "--port", str(_PORT), "--processes", "1"]
    process = subprocess.Popen(command, cwd=ROOT, env=env)
    try:
        _wait()
        yield
    finally:
        process.terminate()
        process.wait(20)


def _wait() -> None:
    for _ in range(200):
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            if urllib3.request("GET", f"http://127.0.0.1:{_PORT}/healthz", retries=False, timeout=1).status == 200:
                return
        time.sleep(0.1)
    raise RuntimeError("the web process did not start")

"""Status callbacks, signed, against one web process: how many a second, none lost, none out of order in effect."""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from urllib.parse import urlencode

import urllib3
from sqlalchemy import func, select

from benchmarks import goals
from benchmarks.environment import FROM, PUBLIC_URL, SID, TOKEN, fresh_portal, queue_texts, serve_app
from portal.core.extensions import db
from portal.messages.tables import bulk_updates, transitions
from portal.messages.tables.communications import Delivery, Receipt
from simulator.webhooks.signature import sign

SECONDS = 30
TEXTS = 12_000
"""More callbacks than 30 seconds can take, so that the time is what ends it."""
_STATUSES = ("queued", "sent", "delivered")
_CLIENTS = 16


@dataclass(frozen=True)
class CallbackRequest:
    attempt: str
    status: str
    path: str
    body: str
    signature: str


def run() -> list[str]:
    with fresh_portal("http://127.0.0.1:9") as app:
        queue_texts(TEXTS, 1_000)
        attempts = _create_accepted_texts()
        db.session.remove()
        with serve_app(app.config["PORTAL"].instance) as url:
            seconds, posted, taken = _post_all(url, _calls(attempts))
        kept = db.session.scalar(select(func.count(Receipt.id))) or 0
        over = {call.attempt for call in taken if call.status == "delivered"}
        moved_back = len(over - _delivered())
    goals.at_least("status callbacks a second, one web process", len(taken) / seconds, 300, "{:.0f}")
    goals.at_most("status callbacks lost", posted - kept, 0, "{:.0f}")
    goals.at_most("delivered texts that another callback undid", moved_back, 0, "{:.0f}")
    return [
        "Queued, sent and delivered of every text, in any order; once.",
        "",
        "| posted | seconds | a second | answered 204 | kept | texts delivered | of them no longer |",
        "|---|---|---|---|---|---|---|",
        f"| {posted:,} | {seconds:.1f} | {len(taken) / seconds:.0f} | {len(taken):,} | {kept:,} | {len(over):,} "
        f"| {moved_back} |",
    ]


def _create_accepted_texts() -> list[str]:
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
            "destination": "+14155550100",
            "started_at_ms": now,
            "slot_at_ms": now,
            "lease_until_ms": now,
        }
        for delivery_id in ids
    ]
    transitions.start_attempts(rows, now)
    known = [
        {
            "delivery_id": row["delivery_id"],
            "attempt_id": row["id"],
            "provider_id": _sid(str(row["id"])),
            "http_status": 201,
            "provider_response": None,
        }
        for row in rows
    ]
    bulk_updates.accept_many(known, "accepted", now, now)
    db.session.commit()
    return [str(row["id"]) for row in rows]


def _delivered() -> set[str]:
    query = select(Delivery.attempt_id).where(Delivery.channel == "sms", Delivery.state == "delivered")
    return {str(attempt) for attempt in db.session.scalars(query)}


def _sid(attempt_id: str) -> str:
    return "SM" + attempt_id.encode().hex().rjust(32, "0")


def _calls(attempts: list[str]) -> list[CallbackRequest]:
    """Out of order, as they come from outside; the three of a text not far from each other."""
    chance, calls = random.Random(7), [_call(attempt, status) for attempt in attempts for status in _STATUSES]
    places = {id(call): place + chance.uniform(0, 60) for place, call in enumerate(calls)}
    return sorted(calls, key=lambda call: places[id(call)])


def _call(attempt: str, status: str) -> CallbackRequest:
    path = f"/webhooks/twilio/status?attempt={attempt}"
    form = {
        "MessageSid": _sid(attempt),
        "MessageStatus": status,
        "AccountSid": SID,
        "From": FROM,
        "To": "+14155550100",
    }
    return CallbackRequest(attempt, status, path, urlencode(form), sign(TOKEN, PUBLIC_URL + path, form))


def _post_all(url: str, calls: list[CallbackRequest]) -> tuple[float, int, list[CallbackRequest]]:
    """Seconds until the last answer, how many were posted, and those that were answered with 204."""
    pool, places, taken = urllib3.PoolManager(maxsize=_CLIENTS), count(), list[CallbackRequest]()
    ends = time.monotonic() + SECONDS

    def post_remaining(_caller: int) -> int:
        posted = 0
        while time.monotonic() < ends and (place := next(places)) < len(calls):
            posted += 1
            if _post(pool, url, calls[place]) == 204:
                taken.append(calls[place])
        return posted

    began = time.perf_counter()
    with ThreadPoolExecutor(_CLIENTS) as callers:
        posted = sum(callers.map(post_remaining, range(_CLIENTS)))
    return time.perf_counter() - began, posted, taken


def _post(pool: urllib3.PoolManager, url: str, call: CallbackRequest) -> int:
    headers = {"X-Twilio-Signature": call.signature, "Content-Type": "application/x-www-form-urlencoded"}
    return pool.request("POST", url + call.path, body=call.body, headers=headers, retries=False).status

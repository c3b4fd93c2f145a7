"""Signed status callbacks against one web process: throughput, none lost, no delivered text reverted."""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from urllib.parse import urlencode

import urllib3
from sqlalchemy import func, select

from benchmarks import targets
from benchmarks.environment import FROM, PUBLIC_URL, SID, TOKEN, fresh_portal, queue_texts, serve_app
from portal.core.extensions import db
from portal.core.rules.delivery_status import DeliveryState
from portal.core.rules.routing import Mode
from portal.gateways.outcomes import Accepted
from portal.messages.tables import attempts as attempt_rows
from portal.messages.tables.attempts import NewAttempt
from portal.messages.tables.communications import Delivery, Receipt
from simulator.webhooks.signature import sign

SECONDS = 30
TEXTS = 12_000
"""More callbacks than `SECONDS` can process, so that time ends the run."""

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
            seconds, posted, accepted = _post_all(url, _shuffled_requests(attempts))
        stored = db.session.scalar(select(func.count(Receipt.id))) or 0
        delivered = {request.attempt for request in accepted if request.status == DeliveryState.DELIVERED}
        reverted = len(delivered - _delivered_attempts())
    targets.at_least("status callbacks per second, one web process", len(accepted) / seconds, 300, "{:.0f}")
    targets.at_most("status callbacks lost", posted - stored, 0, "{:.0f}")
    targets.at_most("delivered texts reverted by another callback", reverted, 0, "{:.0f}")
    return [
        "The queued, sent and delivered callbacks of every text, once each, in random order.",
        "",
        "| posted | seconds | per second | answered 204 | stored | texts delivered | reverted |",
        "|---|---|---|---|---|---|---|",
        f"| {posted:,} | {seconds:.1f} | {len(accepted) / seconds:.0f} | {len(accepted):,} | {stored:,} "
        f"| {len(delivered):,} | {reverted} |",
    ]


def _create_accepted_texts() -> list[str]:
    """Mark every ready text as accepted by Twilio; returns the attempt ids."""
    now = 1_700_000_000_000
    ready = select(Delivery.id).where(Delivery.channel == "sms", Delivery.state == DeliveryState.READY)
    attempts = [
        NewAttempt(
            id=f"bench{delivery_id}",
            delivery_id=delivery_id,
            mode=Mode.LIVE,
            account_sid=SID,
            sender=FROM,
            destination="+14155550100",
            started_at_ms=now,
            slot_at_ms=now,
            lease_until_ms=now,
        )
        for delivery_id in db.session.scalars(ready)
    ]
    attempt_rows.start_attempts(attempts, now)
    accepted = [(attempt, Accepted(_message_sid(attempt.id), 201)) for attempt in attempts]
    attempt_rows.accept_many(accepted, DeliveryState.ACCEPTED, now, now)
    db.session.commit()
    return [attempt.id for attempt in attempts]


def _delivered_attempts() -> set[str]:
    query = select(Delivery.attempt_id).where(Delivery.channel == "sms", Delivery.state == DeliveryState.DELIVERED)
    return {str(attempt) for attempt in db.session.scalars(query)}


def _message_sid(attempt_id: str) -> str:
    return "SM" + attempt_id.encode().hex().rjust(32, "0")


def _shuffled_requests(attempts: list[str]) -> list[CallbackRequest]:
    """The callbacks out of order, as on the real network; the three of one text stay close together."""
    randomness = random.Random(7)
    requests = [_request(attempt, status) for attempt in attempts for status in _STATUSES]
    positions = {id(request): index + randomness.uniform(0, 60) for index, request in enumerate(requests)}
    return sorted(requests, key=lambda request: positions[id(request)])


def _request(attempt: str, status: str) -> CallbackRequest:
    path = f"/webhooks/twilio/status?attempt={attempt}"
    form = {
        "MessageSid": _message_sid(attempt),
        "MessageStatus": status,
        "AccountSid": SID,
        "From": FROM,
        "To": "+14155550100",
    }
    return CallbackRequest(attempt, status, path, urlencode(form), sign(TOKEN, PUBLIC_URL + path, form))


def _post_all(url: str, requests: list[CallbackRequest]) -> tuple[float, int, list[CallbackRequest]]:
    """Seconds until the last response, the count of posted requests, and the requests answered with 204."""
    pool, indexes, accepted = urllib3.PoolManager(maxsize=_CLIENTS), count(), list[CallbackRequest]()
    deadline = time.monotonic() + SECONDS

    def post_remaining(_client: int) -> int:
        posted = 0
        while time.monotonic() < deadline and (index := next(indexes)) < len(requests):
            posted += 1
            if _post(pool, url, requests[index]) == 204:
                accepted.append(requests[index])
        return posted

    started = time.perf_counter()
    with ThreadPoolExecutor(_CLIENTS) as clients:
        posted = sum(clients.map(post_remaining, range(_CLIENTS)))
    return time.perf_counter() - started, posted, accepted


def _post(pool: urllib3.PoolManager, url: str, request: CallbackRequest) -> int:
    headers = {"X-Twilio-Signature": request.signature, "Content-Type": "application/x-www-form-urlencoded"}
    return pool.request("POST", url + request.path, body=request.body, headers=headers, retries=False).status

"""Draining the email lane: claim a batch, hand it over one connection, record.

Email is sent at least once: what may or may not have been taken is sent again with the same Message-ID.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from portal.actions import tide
from portal.actions.email_compose import mail_for
from portal.actions.transaction import transaction
from portal.clock import now_ms
from portal.context import settings
from portal.extensions import db
from portal.gateways import queue
from portal.gateways.outcomes import Accepted, Misconfigured, NotProcessed, Outcome, Refused, Unknown
from portal.gateways.smtp import Mail, SmtpGateway
from portal.models import claims, lane
from portal.models.communication import Delivery

DRAIN_SECONDS = 20.0
BACKOFF_SECONDS = (10, 30, 60, 300, 900, 1_800)
MOST_ATTEMPTS = 60
"""With the back-off above about a day of trying, as mail servers themselves do (RFC 5321 4.5.4.1 asks for days)."""

_BATCH = 20
_RECORD_EVERY_SECONDS = 1.0
_LEASE_MS = 300_000
_LEASE_LEFT_MS = 150_000
"""A mail is not begun with less of its lease left: a slow server may take minutes over one."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Claimed:
    delivery_id: int
    attempt_id: str
    lease_until_ms: int


@dataclass(frozen=True)
class Released:
    """The mail was not begun; no attempt is burned."""


Sent = tuple[Claimed, Outcome | Released]


def wait_ms(attempts: int) -> int:
    """How long to wait after so many attempts."""
    return BACKOFF_SECONDS[min(max(attempts, 1), len(BACKOFF_SECONDS)) - 1] * 1000


def drain_email(should_stop: Callable[[], bool] = lambda: False, seconds: float = DRAIN_SECONDS) -> None:
    """Send the mails whose turn it is, and hand over after a while."""
    if not tide.is_known_to_be_young(now_ms()):
        return
    found = settings()
    ends_ms = now_ms() + round(seconds * 1000)

    def closing() -> bool:
        return should_stop() or now_ms() >= ends_ms

    left = _waiting()
    with SmtpGateway(found.smtp_url, found.mail_from) as gateway:
        while left and not closing():
            _send_batch(claim(now_ms()), gateway, closing)
            left = _waiting()
    with transaction():
        claims.finish_sends(now_ms())
    if left:
        queue.ring(found.redis_url, "drain_email")


def claim(at_ms: int) -> list[Claimed]:
    """A batch of mails with an attempt row each, written before anything is sent."""
    with transaction():
        waiting = claims.waiting_mails(at_ms, _BATCH, lane.running("email"))
        for other in ("held", "canceled"):
            claims.set_aside([row.id for row, wanted in waiting if wanted == other], other, at_ms)
        deliveries = [row for row, wanted in waiting if wanted == "ready"]
        for number in {row.lane for row in deliveries}:
            lane.move_on("email", number, max(row.turn for row in deliveries if row.lane == number))
        claimed = [Claimed(row.id, secrets.token_urlsafe(12), at_ms + _LEASE_MS) for row in deliveries]
        rows = [_row(item, row.address, at_ms) for item, row in zip(claimed, deliveries, strict=True)]
        claims.start_attempts(rows, at_ms)
        return claimed


def _send_batch(claimed: list[Claimed], gateway: SmtpGateway, closing: Callable[[], bool]) -> None:
    """Recorded every second, so that a crash leaves little in doubt; what is not begun is given back."""
    sent: list[Sent] = []
    recorded_at, reachable = time.monotonic(), True
    for item in claimed:
        begin = reachable and not closing() and now_ms() < item.lease_until_ms - _LEASE_LEFT_MS
        outcome = _send(item, gateway) if begin else Released()
        reachable = reachable and not _is_away(outcome)
        sent.append((item, outcome))
        if time.monotonic() - recorded_at > _RECORD_EVERY_SECONDS:
            record(sent, now_ms())
            sent, recorded_at = [], time.monotonic()
    record(sent, now_ms())
    if not reachable:
        _put_off([item.delivery_id for item, outcome in sent if isinstance(outcome, Released)])


def _send(item: Claimed, gateway: SmtpGateway) -> Outcome:
    """Composed outside any transaction; a mail that cannot be composed must not hold up the others."""
    try:
        mail: Mail = mail_for(db.session.get_one(Delivery, item.delivery_id))
    except Exception as error:
        _log.exception("a mail could not be composed", delivery=item.delivery_id)
        return Refused("compose", f"The mail could not be written ({type(error).__name__}).")
    finally:
        db.session.rollback()
    return gateway.deliver(mail)


def record(sent: list[Sent], at_ms: int) -> None:
    with transaction():
        for item, outcome in sent:
            _record(item.delivery_id, item.attempt_id, outcome, at_ms)


def _record(delivery_id: int, attempt_id: str, outcome: Outcome | Released, at_ms: int) -> None:
    if isinstance(outcome, Released):
        claims.settle(delivery_id, attempt_id, "ready", at_ms, next_at_ms=at_ms, attempts=Delivery.attempts - 1)
        claims.finish_attempt(attempt_id, "released", at_ms)
    elif isinstance(outcome, Accepted):
        claims.settle(delivery_id, attempt_id, "mailed", at_ms, provider_id=outcome.provider_id, reason="")
        claims.finish_attempt(attempt_id, "accepted", at_ms, provider_id=outcome.provider_id)
    else:
        _record_trouble(delivery_id, attempt_id, outcome, at_ms)


def _record_trouble(
    delivery_id: int, attempt_id: str, outcome: Refused | NotProcessed | Unknown | Misconfigured, at_ms: int
) -> None:
    attempts = db.session.get_one(Delivery, delivery_id, populate_existing=True).attempts
    if not isinstance(outcome, NotProcessed | Unknown):
        claims.settle(delivery_id, attempt_id, "rejected", at_ms, error_code=outcome.code)
    elif attempts >= MOST_ATTEMPTS:
        claims.settle(delivery_id, attempt_id, "dead", at_ms, reason=outcome.words)
    else:
        claims.settle(delivery_id, attempt_id, "ready", at_ms, next_at_ms=at_ms + wait_ms(attempts))
    kind = "refused" if isinstance(outcome, Refused) else "not_processed"
    claims.finish_attempt(attempt_id, kind, at_ms, detail=outcome.words, http_status=outcome.http_status)


def _is_away(outcome: Outcome | Released) -> bool:
    """The server itself did not answer, so the next mail would fare no better."""
    return isinstance(outcome, NotProcessed) and outcome.http_status is None


def _put_off(delivery_ids: list[int]) -> None:
    """While the server is away, those that were not begun wait as long as the one that was."""
    with transaction():
        claims.put_off(delivery_ids, now_ms() + wait_ms(1))


def _waiting() -> bool:
    next_ms = claims.next_waiting_ms("email", lane.running("email"))
    db.session.rollback()
    return next_ms is not None and next_ms <= now_ms()


def _row(claimed: Claimed, address: str, at_ms: int) -> dict[str, object]:
    return {
        "id": claimed.attempt_id,
        "delivery_id": claimed.delivery_id,
        "mode": "live",
        "account_sid": "",
        "sender": "",
        "sent_to": address,
        "started_at_ms": at_ms,
        "slot_at_ms": at_ms,
        "lease_until_ms": claimed.lease_until_ms,
    }

"""Draining the email lane: claim a batch, hand it over one connection, record.

Email is sent at least once: what may or may not have been taken is sent again with the same Message-ID.
"""

import secrets
import time
from collections.abc import Callable

from portal.actions.email_compose import mail_for
from portal.actions.transaction import transaction
from portal.context import settings
from portal.extensions import db
from portal.gateways import queue
from portal.gateways.outcomes import Accepted, NotProcessed, Outcome, Refused, Unknown
from portal.gateways.smtp import Mail, SmtpGateway
from portal.models import claims
from portal.models.communication import Delivery

DRAIN_SECONDS = 20.0
_BATCH = 20
_LEASE_MS = 120_000
_BACKOFF_SECONDS = (10, 30, 60, 300, 900, 1_800)
_MOST_ATTEMPTS = 60
"""With the back-off above about a day of trying, as mail servers themselves do (RFC 5321 4.5.4.1 asks for days)."""

Claimed = tuple[int, str, Mail]
Sent = tuple[int, str, Outcome]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def drain_email(should_stop: Callable[[], bool] = lambda: False, seconds: float = DRAIN_SECONDS) -> None:
    """Send the mails whose turn it is, and hand over after a while."""
    found = settings()
    ends_ms = now_ms() + round(seconds * 1000)
    left = bool(_waiting())
    with SmtpGateway(found.smtp_url, found.mail_from) as gateway:
        while left and not should_stop() and now_ms() < ends_ms:
            sent = [(delivery, attempt, gateway.deliver(mail)) for delivery, attempt, mail in claim(now_ms())]
            record(sent, now_ms())
            left = bool(_waiting())
    with transaction():
        claims.finish_sends(now_ms())
    if left:
        queue.ring(found.redis_url, "drain_email")


def claim(at_ms: int) -> list[Claimed]:
    """A batch of mails with an attempt row each, written before anything is sent."""
    with transaction():
        deliveries = claims.waiting_mails(at_ms, _BATCH)
        claimed = [(delivery.id, secrets.token_urlsafe(12), mail_for(delivery)) for delivery in deliveries]
        claims.start_attempts([_row(item, at_ms) for item in claimed], at_ms)
        return claimed


def record(sent: list[Sent], at_ms: int) -> None:
    with transaction():
        for delivery_id, attempt_id, outcome in sent:
            _record(delivery_id, attempt_id, outcome, at_ms)


def _record(delivery_id: int, attempt_id: str, outcome: Outcome, at_ms: int) -> None:
    if isinstance(outcome, Accepted):
        claims.finish_attempt(attempt_id, "accepted", at_ms, provider_id=outcome.provider_id)
        claims.settle(delivery_id, attempt_id, "mailed", at_ms, provider_id=outcome.provider_id, reason="")
        return
    kind = "refused" if isinstance(outcome, Refused) else "not_processed"
    claims.finish_attempt(attempt_id, kind, at_ms, detail=outcome.words, http_status=outcome.http_status)
    attempts = db.session.get_one(Delivery, delivery_id).attempts
    if isinstance(outcome, NotProcessed | Unknown) and attempts < _MOST_ATTEMPTS:
        wait_ms = _BACKOFF_SECONDS[min(attempts, len(_BACKOFF_SECONDS)) - 1] * 1000
        claims.settle(delivery_id, attempt_id, "ready", at_ms, next_at_ms=at_ms + wait_ms)
    else:
        code = outcome.code if isinstance(outcome, Refused) else ""
        claims.settle(delivery_id, attempt_id, "rejected", at_ms, error_code=code)


def _waiting() -> bool:
    next_ms = claims.next_waiting_ms("email")
    db.session.rollback()
    return next_ms is not None and next_ms <= now_ms()


def _row(claimed: Claimed, at_ms: int) -> dict[str, object]:
    delivery_id, attempt_id, mail = claimed
    return {
        "id": attempt_id,
        "delivery_id": delivery_id,
        "mode": "live",
        "sender": "",
        "sent_to": mail.to,
        "started_at_ms": at_ms,
        "slot_at_ms": at_ms,
        "lease_until_ms": at_ms + _LEASE_MS,
    }

"""Draining the email lane: claim a batch, hand it over one connection, record.

Email is sent at least once: what may or may not have been taken is sent again with the same Message-ID.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from portal.actions import mail_server, tide
from portal.actions.email_claim import Claimed, claim, may_claim
from portal.actions.email_compose import mail_for
from portal.actions.transaction import transaction
from portal.clock import now_ms
from portal.context import settings
from portal.domain.mail_breaker import failures_after, rest_ms
from portal.extensions import db
from portal.gateways import queue
from portal.gateways.outcomes import Accepted, Misconfigured, NotProcessed, Outcome, Refused, Unknown
from portal.gateways.smtp import AWAY, Mail, SmtpGateway
from portal.models import claims
from portal.models.communication import Delivery

DRAIN_SECONDS = 20.0
BACKOFF_SECONDS = (10, 30, 60, 300, 900, 1_800)
MOST_ATTEMPTS = 60
"""With the back-off above about a day of trying, as mail servers themselves do (RFC 5321 4.5.4.1 asks for days)."""

_RECORD_EVERY_SECONDS = 1.0
_LEASE_LEFT_MS = 150_000
"""A mail is not begun with less of its lease left: a slow server may take minutes over one."""

_log = structlog.get_logger(__name__)


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

    left = may_claim(now_ms())
    with SmtpGateway(found.smtp_url, found.mail_from) as gateway:
        while left and not closing():
            _send_batch(claim(now_ms()), gateway, closing)
            left = may_claim(now_ms())
    with transaction():
        claims.finish_sends(now_ms())
    if left:
        queue.ring(found.redis_url, "drain_email")


def _send_batch(claimed: list[Claimed], gateway: SmtpGateway, closing: Callable[[], bool]) -> None:
    """Recorded every second, so that a crash leaves little in doubt; what is not begun is given back."""
    sent: list[Sent] = []
    recorded_at = time.monotonic()
    failures = claimed[0].failures if claimed else 0
    for place, item in enumerate(claimed):
        takes_mail = place == 0 or not rest_ms(failures)
        begin = takes_mail and not closing() and now_ms() < item.lease_until_ms - _LEASE_LEFT_MS
        outcome = _send(item, gateway) if begin else Released()
        if not isinstance(outcome, Released):
            failures = failures_after(failures, [mail_server.sign_of(outcome)])
        sent.append((item, outcome))
        if time.monotonic() - recorded_at > _RECORD_EVERY_SECONDS:
            record(sent, now_ms())
            sent, recorded_at = [], time.monotonic()
    record(sent, now_ms())


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
        mail_server.note([outcome for _, outcome in sent if not isinstance(outcome, Released)], at_ms)


def _record(delivery_id: int, attempt_id: str, outcome: Outcome | Released, at_ms: int) -> None:
    if isinstance(outcome, Released):
        _back_to_ready(delivery_id, attempt_id, at_ms)
        claims.finish_attempt(attempt_id, "released", at_ms)
    elif isinstance(outcome, NotProcessed) and outcome.code == AWAY:
        _back_to_ready(delivery_id, attempt_id, at_ms)
        claims.finish_attempt(attempt_id, "not_processed", at_ms, detail=outcome.words, http_status=outcome.http_status)
    elif isinstance(outcome, Accepted):
        claims.settle(delivery_id, attempt_id, "mailed", at_ms, provider_id=outcome.provider_id, reason="")
        claims.finish_attempt(attempt_id, "accepted", at_ms, provider_id=outcome.provider_id)
    else:
        _record_trouble(delivery_id, attempt_id, outcome, at_ms)


def _back_to_ready(delivery_id: int, attempt_id: str, at_ms: int) -> None:
    """No attempt is burned: waiting for the server is no retry, and when it is back nothing waits any longer."""
    claims.settle(delivery_id, attempt_id, "ready", at_ms, next_at_ms=at_ms, attempts=Delivery.attempts - 1)


def _record_trouble(
    delivery_id: int, attempt_id: str, outcome: Refused | NotProcessed | Unknown | Misconfigured, at_ms: int
) -> None:
    attempts = db.session.get_one(Delivery, delivery_id, populate_existing=True).attempts
    code = "" if isinstance(outcome, Unknown) else outcome.code
    if not isinstance(outcome, NotProcessed | Unknown):
        claims.settle(delivery_id, attempt_id, "rejected", at_ms, error_code=code)
    elif attempts >= MOST_ATTEMPTS:
        claims.settle(delivery_id, attempt_id, "dead", at_ms, error_code=code, reason="" if code else outcome.words)
    else:
        claims.settle(delivery_id, attempt_id, "ready", at_ms, next_at_ms=at_ms + wait_ms(attempts))
    kind = "refused" if isinstance(outcome, Refused) else "not_processed"
    known = {"detail": outcome.words, "http_status": outcome.http_status, "error_code": code}
    claims.finish_attempt(attempt_id, kind, at_ms, **known)

"""Draining the email lane: claim a batch, hand it over one connection, record.

Email is sent at least once: what may or may not have been taken is sent again with the same Message-ID.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from portal.actions import mail_server, tide
from portal.actions.email_claim import MOST_AT_ONCE, Claimed, claim, may_claim
from portal.actions.email_compose import mail_for
from portal.actions.patience import BUSY, patiently
from portal.actions.transaction import transaction
from portal.clock import now_ms
from portal.context import settings
from portal.domain.mail_breaker import Sign, failures_after, rest_ms
from portal.domain.mail_message import OutgoingEmail
from portal.extensions import db
from portal.gateways import queue
from portal.gateways.outcomes import Accepted, Misconfigured, NotProcessed, Outcome, Refused, Unknown
from portal.gateways.smtp import AWAY, SmtpGateway
from portal.models import claims, doubts
from portal.models.communication import Delivery

DRAIN_SECONDS = 20.0
BACKOFF_SECONDS = (10, 30, 60, 300, 900, 1_800)
MOST_ATTEMPTS = 60
"""With the back-off above about a day of trying, as mail servers themselves do (RFC 5321 4.5.4.1 asks for days)."""

_FEW_REFUSALS = 7
"""Some fifty minutes, for a refusal that meant us rather than the recipient: somebody may mend that."""

_NOT_AGAIN_SOON_MS = 1_800_000
"""While the server refuses us, another mail is tried next time: this one may be refused for its own sake."""

_DATABASE_WAIT_MS = 1_000
_RECORD_EVERY_SECONDS = 1.0
_BEGIN_WITHIN_MS = 1_000
"""A mail that was claimed longer ago is given back: a pause and an urgent mail take effect within a second."""
_LEASE_LEFT_MS = 150_000
"""A mail is not begun with less of its lease left: a slow server may take minutes over one."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Released:
    """The mail was not begun; no attempt is burned."""

    wait_ms: int = 0


Sent = tuple[Claimed, Outcome | Released]
_Trouble = Refused | NotProcessed | Unknown | Misconfigured


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

    left, most = may_claim(now_ms()), MOST_AT_ONCE
    with SmtpGateway(found.smtp_url, found.mail_from) as gateway:
        while left and not closing():
            most = send_batch(claim(now_ms(), most), gateway, closing)
            left = may_claim(now_ms())
    with transaction():
        claims.finish_sends(now_ms())
    if left:
        queue.ring(found.redis_url, "drain_email")


def send_batch(claimed: list[Claimed], gateway: SmtpGateway, closing: Callable[[], bool]) -> int:
    """Send these; how many to claim next: what a server takes within a second or so."""
    if not claimed:
        return MOST_AT_ONCE
    begun = _send_each(claimed, gateway, closing)
    return min(MOST_AT_ONCE, 2 * begun if begun == len(claimed) else begun) or 1


def _send_each(claimed: list[Claimed], gateway: SmtpGateway, closing: Callable[[], bool]) -> int:
    """How many were begun. Recorded every second, so that a crash leaves little in doubt; the others are given back.

    Also when this is broken off, as RQ does with a job whose time is over: one mail alone is in doubt then.
    """
    begun = handled = 0
    sent: list[Sent] = []
    recorded_at = time.monotonic()
    failures = claimed[0].failures
    gateway.beside = [item.sent_to for item in reversed(claimed)]
    try:
        for place, item in enumerate(claimed):
            begin = _may_begin(item, place == 0, failures) and not closing()
            handled = place + 1
            begun += begin
            outcome = _send(item, gateway) if begin else Released()
            if not isinstance(outcome, Released):
                failures = failures_after(failures, [mail_server.sign_of(outcome)])
            sent.append((item, outcome))
            if time.monotonic() - recorded_at > _RECORD_EVERY_SECONDS:
                _write_down(sent)
                sent, recorded_at = [], time.monotonic()
    finally:  # whatever breaks it off: what was taken was taken, and what was not begun is given back
        _write_down([*sent, *((item, Released()) for item in claimed[handled:])])
    return begun


def _may_begin(item: Claimed, is_first: bool, failures: int) -> bool:
    takes_mail = is_first or not rest_ms(failures)
    is_fresh = is_first or now_ms() < item.claimed_ms + _BEGIN_WITHIN_MS
    return takes_mail and is_fresh and now_ms() < item.lease_until_ms - _LEASE_LEFT_MS


def _write_down(sent: list[Sent]) -> None:
    """A mail that was taken and not written down would be sent again."""
    patiently(lambda: record(sent, now_ms()))


def _send(item: Claimed, gateway: SmtpGateway) -> Outcome | Released:
    """Composed outside any transaction; a mail that cannot be composed must not hold up the others.

    A database that does not answer just now is no fault of the mail's.
    """
    try:
        mail: OutgoingEmail = mail_for(db.session.get_one(Delivery, item.delivery_id), item.sent_to)
    except BUSY as error:
        _log.warning("a mail could not be read; it waits for the database", error=type(error).__name__)
        return Released(_DATABASE_WAIT_MS)
    except Exception as error:
        _log.exception("a mail could not be composed", delivery=item.delivery_id)
        return NotProcessed(
            f"The mail could not be written ({type(error).__name__}); the log says why.", code="compose"
        )
    finally:
        db.session.rollback()
    return gateway.deliver(mail)


def record(sent: list[Sent], at_ms: int) -> None:
    with transaction():
        for item, outcome in sent:
            _record(item, outcome, at_ms)
        mail_server.note([outcome for _, outcome in sent if not isinstance(outcome, Released)], at_ms)


def _record(item: Claimed, outcome: Outcome | Released, at_ms: int) -> None:
    delivery_id, attempt_id = item.delivery_id, item.attempt_id
    if isinstance(outcome, Released):
        _back_to_ready(item, at_ms, outcome.wait_ms)
        claims.finish_attempt(attempt_id, "released", at_ms)
    elif isinstance(outcome, NotProcessed) and outcome.code == AWAY:
        _back_to_ready(item, at_ms)
        claims.finish_attempt(attempt_id, "not_processed", at_ms, detail=outcome.words, http_status=outcome.http_status)
    elif isinstance(outcome, Accepted):
        claims.settle(delivery_id, attempt_id, "mailed", at_ms, provider_id=outcome.provider_id, reason="")
        claims.finish_attempt(attempt_id, "accepted", at_ms, provider_id=outcome.provider_id)
    else:
        _record_trouble(item, outcome, at_ms)


def _back_to_ready(item: Claimed, at_ms: int, later_ms: int = 0) -> None:
    """No attempt is burned: waiting for the server is no retry. When it is back nothing waits any longer."""
    changes = {"next_at_ms": at_ms + later_ms, "attempts": Delivery.attempts - 1}
    claims.settle(item.delivery_id, item.attempt_id, "ready", at_ms, **changes)


def _record_trouble(item: Claimed, outcome: _Trouble, at_ms: int) -> None:
    attempts = db.session.get_one(Delivery, item.delivery_id, populate_existing=True).attempts
    code = "" if isinstance(outcome, Unknown) else outcome.code
    means_us = isinstance(outcome, Refused | NotProcessed) and mail_server.sign_of(outcome) is Sign.TROUBLE
    if means_us and rest_ms(item.failures):
        _back_to_ready(item, at_ms, _NOT_AGAIN_SOON_MS)
    elif _is_tried_again(item, outcome, attempts, means_us):
        claims.settle(item.delivery_id, item.attempt_id, "ready", at_ms, next_at_ms=at_ms + wait_ms(attempts))
    else:
        to = "dead" if isinstance(outcome, NotProcessed | Unknown) else "rejected"
        reason = "" if code else outcome.words
        claims.settle(item.delivery_id, item.attempt_id, to, at_ms, error_code=code, reason=reason)
    kind = "refused" if isinstance(outcome, Refused) else "not_processed"
    known = {"detail": outcome.words, "http_status": outcome.http_status, "error_code": code}
    claims.finish_attempt(item.attempt_id, kind, at_ms, **known)


def _is_tried_again(item: Claimed, outcome: _Trouble, attempts: int, means_us: bool) -> bool:
    """A refusal that meant the recipient is final at once (RFC 5321 4.2.1)."""
    if isinstance(outcome, NotProcessed | Unknown):
        return attempts < MOST_ATTEMPTS
    return means_us and doubts.refused_times(item.delivery_id) + 1 < _FEW_REFUSALS

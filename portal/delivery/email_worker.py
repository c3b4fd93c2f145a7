"""Draining the email lane: claim a batch, hand it over one connection, record.

Email is sent at least once: what may or may not have been taken is sent again with the same Message-ID.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from portal.content.email_rendering import build_mail
from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.database_retry import TRANSIENT_DATABASE_ERRORS, retry_on_database_error
from portal.core.extensions import db
from portal.core.rules.delivery_status import DeliveryState
from portal.core.transaction import transaction
from portal.delivery import mail_server_status
from portal.delivery.email_claim import MAX_BATCH_SIZE, ClaimedEmail, can_claim_emails, claim_emails
from portal.delivery.rules.email_circuit_breaker import ServerSignal, count_smtp_failures, smtp_cooldown_ms
from portal.gateways import queue
from portal.gateways.outcomes import Accepted, AccountFault, NotSent, Outcome, Rejected, Unknown
from portal.gateways.rules.email_message import OutgoingEmail
from portal.gateways.smtp import SERVER_DOWN, SmtpGateway
from portal.messages import restore_check
from portal.messages.tables import transitions, unresolved
from portal.messages.tables.communications import Delivery
from portal.sends.tables import sends

DRAIN_SECONDS = 20.0
BACKOFF_SECONDS = (10, 30, 60, 300, 900, 1_800)
MAX_EMAIL_ATTEMPTS = 60
"""With the back-off above about a day of trying, as mail servers themselves do (RFC 5321 4.5.4.1 asks for days)."""

_MAX_SENDER_REJECTIONS = 7
"""Some fifty minutes, for a refusal that meant us rather than the recipient: somebody may mend that."""

_RETRY_AFTER_PROBE_MS = 1_800_000
"""While the server refuses us, another mail is tried next time: this one may be refused for its own sake."""

_DATABASE_WAIT_MS = 1_000
_RECORD_EVERY_SECONDS = 1.0
_CLAIM_VALID_MS = 1_000
"""A mail that was claimed longer ago is given back: a pause and an urgent mail take effect within a second."""
_MIN_LEASE_LEFT_MS = 150_000
"""A mail is not begun with less of its lease left: a slow server may take minutes over one."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ReleasedEmail:
    """The mail was not begun; no attempt is burned."""

    email_backoff_ms: int = 0


EmailResult = tuple[ClaimedEmail, Outcome | ReleasedEmail]
_FailedOutcome = Rejected | NotSent | Unknown | AccountFault


def email_backoff_ms(attempts: int) -> int:
    """How long to wait after so many attempts."""
    return BACKOFF_SECONDS[min(max(attempts, 1), len(BACKOFF_SECONDS)) - 1] * 1000


def drain_email(should_stop: Callable[[], bool] = lambda: False, seconds: float = DRAIN_SECONDS) -> None:
    """Send the mails whose turn it is, and hand over after a while."""
    if not restore_check.restore_check_passed(now_ms()):
        return
    found = settings()
    ends_ms = now_ms() + round(seconds * 1000)

    def closing() -> bool:
        return should_stop() or now_ms() >= ends_ms

    left, most = can_claim_emails(now_ms()), MAX_BATCH_SIZE
    with SmtpGateway(found.smtp_url, found.mail_from) as gateway:
        while left and not closing():
            most = send_batch(claim_emails(now_ms(), most), gateway, closing)
            left = can_claim_emails(now_ms())
    with transaction():
        sends.finish_sends(now_ms())
    if left:
        queue.enqueue(found.redis_url, "drain_email")


def send_batch(claimed: list[ClaimedEmail], gateway: SmtpGateway, is_stopping: Callable[[], bool]) -> int:
    """Send these; how many to claim next: what a server takes within a second or so."""
    if not claimed:
        return MAX_BATCH_SIZE
    begun = _send_each(claimed, gateway, is_stopping)
    return min(MAX_BATCH_SIZE, 2 * begun if begun == len(claimed) else begun) or 1


def _send_each(claimed: list[ClaimedEmail], gateway: SmtpGateway, is_stopping: Callable[[], bool]) -> int:
    """How many were begun. Recorded every second, so that a crash leaves little in doubt; the others are given back.

    Also when this is broken off, as RQ does with a job whose time is over: one mail alone is in doubt then.
    """
    begun = handled = 0
    sent: list[EmailResult] = []
    recorded_at = time.monotonic()
    failures = claimed[0].failures
    gateway.other_recipients = [item.sent_to for item in reversed(claimed)]
    try:
        for place, item in enumerate(claimed):
            begin = _can_send(item, place == 0, failures) and not is_stopping()
            handled = place + 1
            begun += begin
            outcome = _compose_and_send(item, gateway) if begin else ReleasedEmail()
            if not isinstance(outcome, ReleasedEmail):
                failures = count_smtp_failures(failures, [mail_server_status.server_signal(outcome)])
            sent.append((item, outcome))
            if time.monotonic() - recorded_at > _RECORD_EVERY_SECONDS:
                _record_with_retry(sent)
                sent, recorded_at = [], time.monotonic()
    finally:  # whatever breaks it off: what was taken was taken, and what was not begun is given back
        _record_with_retry([*sent, *((item, ReleasedEmail()) for item in claimed[handled:])])
    return begun


def _can_send(item: ClaimedEmail, is_first: bool, failures: int) -> bool:
    takes_mail = is_first or not smtp_cooldown_ms(failures)
    is_fresh = is_first or now_ms() < item.claimed_at_ms + _CLAIM_VALID_MS
    return takes_mail and is_fresh and now_ms() < item.lease_until_ms - _MIN_LEASE_LEFT_MS


def _record_with_retry(sent: list[EmailResult]) -> None:
    """A mail that was taken and not written down would be sent again."""
    retry_on_database_error(lambda: record_email_results(sent, now_ms()))


def _compose_and_send(item: ClaimedEmail, gateway: SmtpGateway) -> Outcome | ReleasedEmail:
    """Composed outside any transaction; a mail that cannot be composed must not hold up the others.

    A database that does not answer just now is no fault of the mail's.
    """
    try:
        mail: OutgoingEmail = build_mail(db.session.get_one(Delivery, item.delivery_id), item.sent_to)
    except TRANSIENT_DATABASE_ERRORS as error:
        _log.warning("database unavailable while composing an email; will retry", error=type(error).__name__)
        return ReleasedEmail(_DATABASE_WAIT_MS)
    except Exception as error:
        _log.exception("could not compose an email", delivery=item.delivery_id)
        return NotSent(f"The mail could not be written ({type(error).__name__}); the log says why.", code="compose")
    finally:
        db.session.rollback()
    return gateway.deliver(mail)


def record_email_results(sent: list[EmailResult], at_ms: int) -> None:
    with transaction():
        for item, outcome in sent:
            _record(item, outcome, at_ms)
        mail_server_status.record_server_signals(
            [outcome for _, outcome in sent if not isinstance(outcome, ReleasedEmail)], at_ms
        )


def _record(item: ClaimedEmail, outcome: Outcome | ReleasedEmail, at_ms: int) -> None:
    delivery_id, attempt_id = item.delivery_id, item.attempt_id
    if isinstance(outcome, ReleasedEmail):
        _back_to_ready(item, at_ms, outcome.email_backoff_ms)
        transitions.finish_attempt(attempt_id, "released", at_ms)
    elif isinstance(outcome, NotSent) and outcome.code == SERVER_DOWN:
        _back_to_ready(item, at_ms)
        transitions.finish_attempt(
            attempt_id, "not_sent", at_ms, detail=outcome.message, http_status=outcome.http_status
        )
    elif isinstance(outcome, Accepted):
        transitions.complete_attempt(
            delivery_id, attempt_id, "handed_off", at_ms, provider_id=outcome.provider_id, reason=""
        )
        transitions.finish_attempt(attempt_id, "accepted", at_ms, provider_id=outcome.provider_id)
    else:
        _record_failure(item, outcome, at_ms)


def _back_to_ready(item: ClaimedEmail, at_ms: int, later_ms: int = 0) -> None:
    """No attempt is burned: waiting for the server is no retry. When it is back nothing waits any longer."""
    changes = {"due_at_ms": at_ms + later_ms, "attempt_count": Delivery.attempt_count - 1}
    transitions.complete_attempt(item.delivery_id, item.attempt_id, DeliveryState.READY, at_ms, **changes)


def _record_failure(item: ClaimedEmail, outcome: _FailedOutcome, at_ms: int) -> None:
    attempts = db.session.get_one(Delivery, item.delivery_id, populate_existing=True).attempt_count
    code = "" if isinstance(outcome, Unknown) else outcome.code
    means_us = (
        isinstance(outcome, Rejected | NotSent) and mail_server_status.server_signal(outcome) is ServerSignal.FAILING
    )
    if means_us and smtp_cooldown_ms(item.failures):
        _back_to_ready(item, at_ms, _RETRY_AFTER_PROBE_MS)
    elif _is_retried(item, outcome, attempts, means_us):
        transitions.complete_attempt(
            item.delivery_id, item.attempt_id, "ready", at_ms, due_at_ms=at_ms + email_backoff_ms(attempts)
        )
    else:
        to = "expired" if isinstance(outcome, NotSent | Unknown) else "rejected"
        reason = "" if code else outcome.message
        transitions.complete_attempt(item.delivery_id, item.attempt_id, to, at_ms, error_code=code, reason=reason)
    kind = "rejected" if isinstance(outcome, Rejected) else "not_sent"
    known = {"detail": outcome.message, "http_status": outcome.http_status, "error_code": code}
    transitions.finish_attempt(item.attempt_id, kind, at_ms, **known)


def _is_retried(item: ClaimedEmail, outcome: _FailedOutcome, attempts: int, means_us: bool) -> bool:
    """A refusal that meant the recipient is final at once (RFC 5321 4.2.1)."""
    if isinstance(outcome, NotSent | Unknown):
        return attempts < MAX_EMAIL_ATTEMPTS
    return means_us and unresolved.rejection_count(item.delivery_id) + 1 < _MAX_SENDER_REJECTIONS

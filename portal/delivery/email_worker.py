"""Drain the email lane. Email is sent at least once: an unknown outcome is resent with the same Message-ID."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

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
from portal.delivery.lane_run import DRAIN_SECONDS, drain_lane
from portal.delivery.rules.backoff import backoff_ms
from portal.delivery.rules.circuit_breaker import SMTP_BREAKER, Signal
from portal.gateways.outcomes import Accepted, NotSent, Outcome, Rejected, Unknown
from portal.gateways.smtp import SERVER_DOWN, SmtpGateway
from portal.messages.rules.attempt_outcome import AttemptOutcome
from portal.messages.tables import attempts, transitions, unresolved
from portal.messages.tables.attempts import FailedOutcome
from portal.messages.tables.communications import Delivery

BACKOFF_SECONDS = (10, 30, 60, 300, 900, 1_800)
MAX_EMAIL_ATTEMPTS = 60
"""About a day with the back-off above. Mail servers themselves retry for days (RFC 5321 4.5.4.1)."""

_MAX_SENDER_REJECTIONS = 7
"""About fifty minutes, for rejections that concern us rather than the recipient: somebody may fix the cause."""
_RETRY_AFTER_PROBE_MS = 1_800_000
"""While the server rejects us, probe with another email next time: this one may be at fault itself."""
_DATABASE_WAIT_MS = 1_000
_RECORD_EVERY_SECONDS = 1.0
_CLAIM_VALID_MS = 1_000
"""An email claimed longer ago is released: a pause and urgent emails take effect within a second."""
_MIN_LEASE_LEFT_MS = 150_000
"""Do not start an email with less of its lease left: a slow server may take minutes."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ReleasedEmail:
    """The email was not started; the attempt does not count."""

    delay_ms: int = 0


EmailResult = tuple[ClaimedEmail, Outcome | ReleasedEmail]


def drain_email(should_stop: Callable[[], bool] = lambda: False, seconds: float = DRAIN_SECONDS) -> None:
    """Send due emails, and enqueue another run if more are due at the end."""
    ends_ms = now_ms() + round(seconds * 1000)
    drain_lane("email", lambda: _send_due(lambda: should_stop() or now_ms() >= ends_ms))


def _send_due(is_stopping: Callable[[], bool]) -> bool:
    """Return whether more are due."""
    has_more, limit = can_claim_emails(now_ms()), MAX_BATCH_SIZE
    with SmtpGateway(settings().smtp_url, settings().mail_from) as gateway:
        while has_more and not is_stopping():
            limit = send_batch(claim_emails(now_ms(), limit), gateway, is_stopping)
            has_more = can_claim_emails(now_ms())
    return has_more


def send_batch(claimed: list[ClaimedEmail], gateway: SmtpGateway, is_stopping: Callable[[], bool]) -> int:
    """Return how many to claim next: what the server accepts within about a second."""
    if not claimed:
        return MAX_BATCH_SIZE
    started = _send_each(claimed, gateway, is_stopping)
    return min(MAX_BATCH_SIZE, 2 * started if started == len(claimed) else started) or 1


def _send_each(claimed: list[ClaimedEmail], gateway: SmtpGateway, is_stopping: Callable[[], bool]) -> int:
    """Return how many were started. Results are recorded every second; an interruption leaves only one unknown."""
    started = handled = 0
    sent: list[EmailResult] = []
    recorded_at = time.monotonic()
    failures = claimed[0].failures
    gateway.other_recipients = [item.attempt.destination for item in reversed(claimed)]
    try:
        for index, item in enumerate(claimed):
            is_starting = _can_send(item, index == 0, failures) and not is_stopping()
            handled = index + 1
            started += is_starting
            outcome = _compose_and_send(item, gateway) if is_starting else ReleasedEmail()
            if not isinstance(outcome, ReleasedEmail):
                failures = SMTP_BREAKER.count_failures(failures, [mail_server_status.server_signal(outcome)])
            sent.append((item, outcome))
            if time.monotonic() - recorded_at > _RECORD_EVERY_SECONDS:
                _record_with_retry(sent)
                sent, recorded_at = [], time.monotonic()
    finally:  # even if interrupted, record what was sent and release the rest
        _record_with_retry([*sent, *((item, ReleasedEmail()) for item in claimed[handled:])])
    return started


def _can_send(item: ClaimedEmail, is_first: bool, failures: int) -> bool:
    is_server_up = is_first or not SMTP_BREAKER.is_open(failures)
    is_fresh = is_first or now_ms() < item.attempt.started_at_ms + _CLAIM_VALID_MS
    return is_server_up and is_fresh and now_ms() < item.attempt.lease_until_ms - _MIN_LEASE_LEFT_MS


def _record_with_retry(sent: list[EmailResult]) -> None:
    """If the result is lost, an accepted email is sent again."""
    retry_on_database_error(lambda: record_email_results(sent, now_ms()))


def _compose_and_send(item: ClaimedEmail, gateway: SmtpGateway) -> Outcome | ReleasedEmail:
    """Compose outside any transaction. A database error is not the email’s fault; other errors fail only this email."""
    try:
        mail = build_mail(db.session.get_one(Delivery, item.attempt.delivery_id), item.attempt.destination)
    except TRANSIENT_DATABASE_ERRORS as error:
        _log.warning("database unavailable while composing an email; will retry", error=type(error).__name__)
        return ReleasedEmail(_DATABASE_WAIT_MS)
    except Exception as error:
        _log.exception("could not compose an email", delivery=item.attempt.delivery_id)
        return NotSent(f"The email could not be composed ({type(error).__name__}); see the log.", code="compose")
    finally:
        db.session.rollback()
    return gateway.deliver(mail)


def record_email_results(sent: list[EmailResult], at_ms: int) -> None:
    with transaction():
        for item, outcome in sent:
            _record(item, outcome, at_ms)
        outcomes = [outcome for _, outcome in sent if not isinstance(outcome, ReleasedEmail)]
        mail_server_status.record_server_signals(outcomes, at_ms)


def _record(item: ClaimedEmail, outcome: Outcome | ReleasedEmail, at_ms: int) -> None:
    if isinstance(outcome, ReleasedEmail):
        attempts.release_claims([item.attempt], at_ms, outcome.delay_ms)
    elif isinstance(outcome, Accepted):
        delivery_id, attempt_id, provider_id = item.attempt.delivery_id, item.attempt.id, outcome.provider_id
        transitions.complete(
            delivery_id, attempt_id, DeliveryState.HANDED_OFF, at_ms, provider_id=provider_id, reason=""
        )
        attempts.finish_attempt(attempt_id, AttemptOutcome.ACCEPTED, at_ms, provider_id=provider_id)
    elif isinstance(outcome, NotSent) and outcome.code == SERVER_DOWN:
        _retry(item, replace(outcome, code=""), at_ms, at_ms, count_attempt=False)
    else:
        _record_failure(item, outcome, at_ms)


def _record_failure(item: ClaimedEmail, outcome: FailedOutcome, at_ms: int) -> None:
    attempt_count = db.session.get_one(Delivery, item.attempt.delivery_id, populate_existing=True).attempt_count
    is_failing = mail_server_status.server_signal(outcome) is Signal.FAILING
    is_sender_rejected = is_failing and isinstance(outcome, Rejected | NotSent)
    if is_sender_rejected and SMTP_BREAKER.is_open(item.failures):
        _retry(item, outcome, at_ms + _RETRY_AFTER_PROBE_MS, at_ms, count_attempt=False)
    elif _is_retried(item, outcome, attempt_count, is_sender_rejected):
        _retry(item, outcome, at_ms + backoff_ms(BACKOFF_SECONDS, attempt_count), at_ms)
    else:
        to = DeliveryState.EXPIRED if isinstance(outcome, NotSent | Unknown) else DeliveryState.REJECTED
        code = "" if isinstance(outcome, Unknown) else outcome.code
        reason = "" if code else outcome.message
        attempts.complete(item.attempt, to, _attempt_outcome(outcome), outcome, at_ms, error_code=code, reason=reason)


def _retry(item: ClaimedEmail, outcome: FailedOutcome, due_at_ms: int, at_ms: int, count_attempt: bool = True) -> None:
    """Waiting for the server is no retry, so such an attempt does not count. The wait ends once the server is back."""
    kind = _attempt_outcome(outcome)
    attempts.complete(item.attempt, DeliveryState.READY, kind, outcome, at_ms, count_attempt, due_at_ms=due_at_ms)


def _attempt_outcome(outcome: FailedOutcome) -> AttemptOutcome:
    return AttemptOutcome.REJECTED if isinstance(outcome, Rejected) else AttemptOutcome.NOT_SENT


def _is_retried(item: ClaimedEmail, outcome: FailedOutcome, attempt_count: int, is_sender_rejected: bool) -> bool:
    """A rejection that concerns the recipient is final at once (RFC 5321 4.2.1)."""
    if isinstance(outcome, NotSent | Unknown):
        return attempt_count < MAX_EMAIL_ATTEMPTS
    rejections, _first_ms = unresolved.attempts_ended(item.attempt.delivery_id, AttemptOutcome.REJECTED)
    return is_sender_rejected and rejections + 1 < _MAX_SENDER_REJECTIONS

"""Record an attempt that the provider did not accept: each way a call can fail moves the delivery differently."""

from typing import Any

from portal.core.extensions import db
from portal.core.rules.delivery_status import DeliveryState
from portal.core.rules.routing import Mode
from portal.delivery.receipts import handle_error_code
from portal.delivery.rules import unexplained_rejections
from portal.delivery.rules.backoff import backoff_ms
from portal.delivery.sender_health import pause_numbers
from portal.delivery.sms_attempt import SmsResult, cooldown_after
from portal.gateways.outcomes import AccountFault, NotSent, Rejected, Unknown, UnrecognizedError
from portal.gateways.rules.provider_codes import OPTED_OUT, TOO_MANY_REQUESTS
from portal.messages import conflicting_reports
from portal.messages.conflicting_reports import DeliveryReport
from portal.messages.rules.attempt_outcome import AttemptOutcome
from portal.messages.tables import attempts, unresolved
from portal.messages.tables.attempts import FailedOutcome
from portal.messages.tables.communications import Attempt, Delivery
from portal.settings.tables import sending_numbers

_BACKOFF_SECONDS = (1, 2, 5, 10, 30, 60)
_RETRY_WINDOW_MS, _MIN_TRIES = 86_400_000, 300
"""Retry a text for a day with at least 300 attempts (five hours at one a minute): a paused lane expires no text."""


def record_failure(result: SmsResult, outcome: FailedOutcome, now_ms: int) -> None:
    if isinstance(outcome, UnrecognizedError) and not _is_simulated_error(result, outcome):
        _record_unrecognized(result, outcome, now_ms)
    elif isinstance(outcome, NotSent) and not _is_simulated_error(result, outcome):
        _record_not_sent(result, outcome, now_ms)
    elif isinstance(outcome, Unknown):
        attempts.complete(
            result.attempt, DeliveryState.UNKNOWN, AttemptOutcome.UNKNOWN, outcome, now_ms, due_at_ms=now_ms
        )
    elif isinstance(outcome, AccountFault) and not result.claimed.is_simulated:
        _record_account_fault(result, outcome, now_ms)
    else:
        _record_rejected(result, outcome, now_ms)


def _is_simulated_error(result: SmsResult, outcome: NotSent) -> bool:
    """An error requested with a magic number. A retry once texts are live would really send the text."""
    return result.claimed.is_simulated and outcome.code not in ("", TOO_MANY_REQUESTS)


def _record_account_fault(result: SmsResult, outcome: AccountFault, now_ms: int) -> None:
    """Pause the lane until the fault is fixed. A test text has served its purpose, and ends here."""
    if result.claimed.is_test:
        completed = _record_rejected(result, outcome, now_ms)
    else:
        completed = _retry(result, AttemptOutcome.ACCOUNT_FAULT, outcome, now_ms, now_ms, count_attempt=False)
    if completed:
        attempted_at_ms = db.session.get_one(Attempt, result.attempt.id).started_at_ms
        pause_numbers(result.attempt.sender, outcome.code, outcome.message, attempted_at_ms, now_ms)


def _record_not_sent(result: SmsResult, outcome: NotSent, now_ms: int) -> None:
    """Retry for a day, then expire. Days without a connection to the provider expire no text."""
    delivery = db.session.get_one(Delivery, result.attempt.delivery_id, populate_existing=True)
    tries, first_ms = unresolved.attempts_ended(delivery.id, AttemptOutcome.NOT_SENT)
    if cooldown_after(outcome) is not None:
        # the number waits, not the text
        _retry(result, AttemptOutcome.NOT_SENT, outcome, now_ms, now_ms, count_attempt=False)
    elif tries >= _MIN_TRIES and now_ms - first_ms > _RETRY_WINDOW_MS and not result.was_unreachable:
        expired = {"error_code": outcome.code, "reason": outcome.message}
        _complete(result, DeliveryState.EXPIRED, AttemptOutcome.NOT_SENT, outcome, now_ms, **expired)
    else:
        next_at_ms = now_ms + _retry_delay_ms(delivery.attempt_count, outcome)
        _retry(result, AttemptOutcome.NOT_SENT, outcome, next_at_ms, now_ms)


def _retry_delay_ms(tries: int, outcome: NotSent) -> int:
    """What the provider asked for, or a back-off by number of attempts."""
    if outcome.retry_after_seconds is not None:
        return round(outcome.retry_after_seconds * 1000)
    return backoff_ms(_BACKOFF_SECONDS, tries)


def _record_unrecognized(result: SmsResult, outcome: UnrecognizedError, now_ms: int) -> None:
    """Final if others get through meanwhile, or after a day of attempts since sending was last resumed."""
    sender = sending_numbers.find_sender(result.attempt.sender)
    hashes, resumed_ms = (sender.unrecognized_rejections, sender.resumed_at_ms or 0) if sender else ("", 0)
    kind = AttemptOutcome.UNRECOGNIZED_ERROR
    tries, first_ms = unresolved.attempts_ended(result.attempt.delivery_id, kind, resumed_ms)
    others_accepted = not unexplained_rejections.contains_recipient(hashes, result.attempt.destination)
    is_message_fault = tries + 1 >= unexplained_rejections.MAX_TRIES and others_accepted
    is_given_up = tries > 0 and now_ms - first_ms > unexplained_rejections.GIVE_UP_AFTER_MS
    if result.claimed.is_test or is_message_fault or is_given_up:  # a test has served its purpose
        _record_rejected(result, outcome, now_ms)
        return
    next_at_ms = now_ms + backoff_ms(unexplained_rejections.BACKOFF_SECONDS, tries + 1)
    _retry(result, kind, outcome, next_at_ms, now_ms, count_attempt=False)


def _record_rejected(result: SmsResult, outcome: Rejected | AccountFault | NotSent, now_ms: int) -> bool:
    to = DeliveryState.SIMULATED_REJECTED if result.claimed.is_simulated else DeliveryState.REJECTED
    if outcome.code == OPTED_OUT and result.attempt.mode is Mode.LIVE:
        to = DeliveryState.OPTED_OUT
    completed = _complete(result, to, AttemptOutcome.REJECTED, outcome, now_ms, error_code=outcome.code)
    if completed and to != DeliveryState.SIMULATED_REJECTED:
        handle_error_code(result.attempt.id, outcome.code, now_ms)
    return completed


def _retry(
    result: SmsResult, kind: AttemptOutcome, outcome: FailedOutcome, next_at_ms: int, now_ms: int, **changes: Any
) -> bool:
    return _complete(result, DeliveryState.READY, kind, outcome, now_ms, due_at_ms=next_at_ms, **changes)


def _complete(
    result: SmsResult, to: DeliveryState, kind: AttemptOutcome, outcome: FailedOutcome, now_ms: int, **changes: Any
) -> bool:
    """Return whether this moved the delivery: a response that contradicts the record is only reported."""
    if attempts.complete(result.attempt, to, kind, outcome, now_ms, **changes):
        return True
    if unresolved.is_attempt_accepted(result.attempt.id):
        reported = DeliveryState.REJECTED if to == DeliveryState.READY else to
        code = "" if isinstance(outcome, Unknown) else outcome.code
        report = DeliveryReport(result.attempt.delivery_id, reported, "", code)
        conflicting_reports.record_conflicts([report], now_ms)
    return False

"""Record an attempt that the provider did not accept: each way a call can fail moves the delivery differently."""

from typing import Any

from portal.core.extensions import db
from portal.core.rules.delivery_status import DeliveryState
from portal.core.rules.routing import SIMULATED_MODES, Mode, TextKind
from portal.delivery.receipts import handle_error_code
from portal.delivery.rules import unexplained_rejections
from portal.delivery.sender_limits import pause_numbers
from portal.delivery.sms_outcome import SmsResult, cooldown_after
from portal.gateways.outcomes import AccountFault, NotSent, Rejected, Unknown, UnrecognizedError
from portal.gateways.rules.provider_codes import OPTED_OUT, TOO_MANY_REQUESTS
from portal.messages import conflicting_reports
from portal.messages.conflicting_reports import DeliveryReport
from portal.messages.rules.attempt_outcome import AttemptOutcome
from portal.messages.tables import attempts, transitions, unresolved
from portal.messages.tables.communications import Attempt, Delivery
from portal.settings.tables import sending_numbers

_BACKOFF_SECONDS = (1, 2, 5, 10, 30, 60)
_RETRY_WINDOW_MS, _MIN_TRIES = 86_400_000, 300
"""Retry a text for a day with at least 300 attempts (five hours at one a minute): a paused lane expires no text."""
FailedOutcome = NotSent | Unknown | AccountFault | Rejected


def record_failure(result: SmsResult, outcome: FailedOutcome, now_ms: int) -> None:
    if isinstance(outcome, UnrecognizedError) and not _is_simulated_error(result, outcome):
        _record_unrecognized(result, outcome, now_ms)
    elif isinstance(outcome, NotSent) and not _is_simulated_error(result, outcome):
        _record_not_sent(result, outcome, now_ms)
    elif isinstance(outcome, Unknown):
        _complete(result, DeliveryState.UNKNOWN, now_ms, due_at_ms=now_ms)
        _finish_attempt(result, AttemptOutcome.UNKNOWN, outcome, now_ms)
    elif isinstance(outcome, AccountFault) and result.mode not in SIMULATED_MODES:
        _record_account_fault(result, outcome, now_ms)
    else:
        _record_rejected(result, outcome, now_ms)


def _is_simulated_error(result: SmsResult, outcome: NotSent) -> bool:
    """An error requested with a magic number. A retry once texts are live would really send the text."""
    return result.mode in SIMULATED_MODES and outcome.code not in ("", TOO_MANY_REQUESTS)


def _record_account_fault(result: SmsResult, outcome: AccountFault, now_ms: int) -> None:
    """Pause the lane until the fault is fixed. A test text has served its purpose, and ends here."""
    if result.kind == TextKind.TEST:
        completed = _record_rejected(result, outcome, now_ms)
    else:
        completed = _back_to_ready(result, outcome.code, now_ms, now_ms, count_attempt=False)
        _finish_attempt(result, AttemptOutcome.ACCOUNT_FAULT, outcome, now_ms)
    if completed:
        attempted_at_ms = db.session.get_one(Attempt, result.attempt_id).started_at_ms
        pause_numbers(result.sender, outcome.code, outcome.message, attempted_at_ms, now_ms)


def _record_not_sent(result: SmsResult, outcome: NotSent, now_ms: int) -> None:
    """Retry for a day, then expire. Days without a connection to the provider expire no text."""
    delivery = db.session.get_one(Delivery, result.delivery_id, populate_existing=True)
    tries, first_ms = unresolved.not_sent_attempts(delivery.id)
    if cooldown_after(outcome) is not None:
        # the number waits, not the text
        _back_to_ready(result, outcome.code, now_ms, now_ms, count_attempt=False)
    elif tries >= _MIN_TRIES and now_ms - first_ms > _RETRY_WINDOW_MS and not result.was_unreachable:
        _complete(result, DeliveryState.EXPIRED, now_ms, error_code=outcome.code, reason=outcome.message)
    else:
        _back_to_ready(result, outcome.code, now_ms + _retry_delay_ms(delivery.attempt_count, outcome), now_ms)
    _finish_attempt(result, AttemptOutcome.NOT_SENT, outcome, now_ms)


def _record_unrecognized(result: SmsResult, outcome: UnrecognizedError, now_ms: int) -> None:
    """Final if others get through meanwhile, or after a day of attempts since sending was last resumed."""
    sender = sending_numbers.find_sender(result.sender)
    hashes, resumed_ms = (sender.unrecognized_rejections, sender.resumed_at_ms or 0) if sender else ("", 0)
    tries, first_ms = unresolved.unrecognized_attempts(result.delivery_id, resumed_ms)
    recipient = db.session.get_one(Attempt, result.attempt_id).destination
    others_accepted = not unexplained_rejections.contains_recipient(hashes, recipient)
    is_test = result.kind == TextKind.TEST  # it has served its purpose
    is_final = is_test or unexplained_rejections.is_message_fault(tries + 1, others_accepted)
    if is_final or (tries and now_ms - first_ms > unexplained_rejections.GIVE_UP_AFTER_MS):
        _record_rejected(result, outcome, now_ms)
        return
    next_at_ms = now_ms + unexplained_rejections.unrecognized_backoff_ms(tries + 1)
    _back_to_ready(result, outcome.code, next_at_ms, now_ms, count_attempt=False)
    _finish_attempt(result, AttemptOutcome.UNRECOGNIZED_ERROR, outcome, now_ms)


def _record_rejected(result: SmsResult, outcome: Rejected | AccountFault | NotSent, now_ms: int) -> bool:
    """Return whether this moved the delivery: a response that contradicts the record is only reported."""
    to = DeliveryState.SIMULATED_REJECTED if result.mode in SIMULATED_MODES else DeliveryState.REJECTED
    if outcome.code == OPTED_OUT and result.mode is Mode.LIVE:
        to = DeliveryState.OPTED_OUT
    completed = _complete(result, to, now_ms, error_code=outcome.code)
    _finish_attempt(result, AttemptOutcome.REJECTED, outcome, now_ms)
    if not completed:
        _report_conflict(result, to, outcome.code, now_ms)
    elif to != DeliveryState.SIMULATED_REJECTED:
        handle_error_code(result.attempt_id, outcome.code, now_ms)
    return completed


def _finish_attempt(result: SmsResult, kind: AttemptOutcome, outcome: FailedOutcome, now_ms: int) -> None:
    code = "" if isinstance(outcome, Unknown) else outcome.code
    details = {"detail": outcome.message, "http_status": outcome.http_status, "error_code": code}
    if result.kind == TextKind.TEST:  # its page shows the response verbatim
        details["provider_response"] = outcome.provider_response
    attempts.finish_attempt(result.attempt_id, kind, now_ms, **details)


def _complete(result: SmsResult, to: DeliveryState, now_ms: int, **changes: Any) -> bool:
    return transitions.complete(result.delivery_id, result.attempt_id, to, now_ms, **changes)


def _back_to_ready(result: SmsResult, code: str, next_at_ms: int, now_ms: int, count_attempt: bool = True) -> bool:
    attempt_count = Delivery.attempt_count if count_attempt else Delivery.attempt_count - 1
    completed = _complete(result, DeliveryState.READY, now_ms, due_at_ms=next_at_ms, attempt_count=attempt_count)
    if not completed:
        _report_conflict(result, DeliveryState.REJECTED, code, now_ms)
    return completed


def _report_conflict(result: SmsResult, to: str, code: str, now_ms: int) -> None:
    """The response says that the text was not accepted, but other evidence has already decided."""
    if unresolved.is_attempt_accepted(result.attempt_id):
        conflicting_reports.record_conflicts([DeliveryReport(result.delivery_id, to, "", code)], now_ms)


def _retry_delay_ms(attempts: int, outcome: NotSent) -> int:
    """What the provider asked for, or a back-off by number of attempts."""
    if outcome.retry_after_seconds is not None:
        return round(outcome.retry_after_seconds * 1000)
    return _BACKOFF_SECONDS[min(max(attempts, 1), len(_BACKOFF_SECONDS)) - 1] * 1000

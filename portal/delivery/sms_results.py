"""Record the outcome of an attempt: each way a call can end moves the delivery differently."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from portal.core.extensions import db
from portal.core.rules.delivery_status import DeliveryState
from portal.core.rules.routing import SIMULATED_MODES, Mode, TextKind
from portal.delivery.receipts import RECEIPT_CHECK_DELAY_MS, handle_error_code
from portal.delivery.rules import unexplained_rejections
from portal.delivery.sender_limits import pause_numbers
from portal.gateways.outcomes import Accepted, AccountFault, NotSent, Outcome, Rejected, Unknown, UnrecognizedError
from portal.gateways.rules.provider_codes import OPTED_OUT, TOO_MANY_REQUESTS, Cooldown, explain_error_code
from portal.messages import conflicting_reports
from portal.messages.conflicting_reports import DeliveryReport
from portal.messages.rules.attempt_outcome import AttemptOutcome
from portal.messages.tables import attempts, transitions, unresolved
from portal.messages.tables.communications import Attempt, Delivery
from portal.settings.tables import sending_numbers

_TOO_MANY_REQUESTS = 429
_BACKOFF_SECONDS = (1, 2, 5, 10, 30, 60)
_RETRY_WINDOW_MS, _MIN_TRIES = 86_400_000, 300
"""Retry a text for a day with at least 300 attempts (five hours at one a minute): a paused lane expires no text."""
_FailedOutcome = NotSent | Unknown | AccountFault | Rejected


@dataclass(frozen=True)
class ReleasedText:
    """The text was not sent because its slot or lease had passed: it gets a new slot, without counting the attempt."""


@dataclass(frozen=True)
class SmsResult:
    attempt_id: str
    delivery_id: int
    mode: Mode
    sender: str
    outcome: Outcome | ReleasedText
    kind: str = TextKind.NOTIFICATION

    @property
    def answered(self) -> bool | None:
        """Whether the provider answered; None if it was not asked or could not be reached."""
        if isinstance(self.outcome, ReleasedText) or self.was_unreachable:
            return None
        return not isinstance(self.outcome, Unknown)

    @property
    def was_unreachable(self) -> bool:
        """Whether the provider was never reached: no connection, or a response from something in between."""
        return isinstance(self.outcome, NotSent) and not self.outcome.code


def cooldown_after(outcome: Outcome | ReleasedText) -> Cooldown | None:
    """How long the number waits after this outcome; None if it is no limit. An unknown limit lasts minutes."""
    if not isinstance(outcome, NotSent) or outcome.code in ("", TOO_MANY_REQUESTS):
        return None
    is_unknown_limit = outcome.http_status == _TOO_MANY_REQUESTS
    return explain_error_code(outcome.code).cooldown or (Cooldown.FEW_MINUTES if is_unknown_limit else None)


def blocks_sender(outcome: Outcome | ReleasedText) -> bool:
    """Whether other texts claimed for the number would be rejected as well."""
    return isinstance(outcome, AccountFault) or cooldown_after(outcome) is not None


def concerns_sender(result: SmsResult) -> bool:
    """Whether the outcome is a limit of the number, or a rejection that may be the number’s fault."""
    if result.mode in SIMULATED_MODES:
        return False
    return isinstance(result.outcome, UnrecognizedError) or cooldown_after(result.outcome) is not None


def record_results(results: Sequence[SmsResult], now_ms: int) -> None:
    """Inside a transaction. A guarded update that changes nothing was overtaken by better evidence."""
    transitions.lock_deliveries(result.delivery_id for result in results)
    _record_accepted(results, now_ms)
    released = [result for result in results if isinstance(result.outcome, ReleasedText)]
    attempts.release_claims([(result.delivery_id, result.attempt_id) for result in released], now_ms)
    for result in sorted(results, key=lambda result: isinstance(result.outcome, AccountFault)):
        # lock sending numbers after the ledger, as receipts do: the same order prevents deadlocks
        if not isinstance(result.outcome, Accepted | ReleasedText):
            _record(result, result.outcome, now_ms)


def _record(result: SmsResult, outcome: _FailedOutcome, now_ms: int) -> None:
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


def _record_accepted(results: Sequence[SmsResult], now_ms: int) -> None:
    """All in two statements. A late response still counts, whatever was assumed about the attempt."""
    for simulated in (False, True):
        rows: list[dict[str, Any]] = [
            {
                "delivery_id": result.delivery_id,
                "attempt_id": result.attempt_id,
                "provider_id": result.outcome.provider_id,
                "http_status": result.outcome.http_status,
                "provider_response": result.outcome.provider_response if result.kind == TextKind.TEST else None,
            }
            for result in results
            if isinstance(result.outcome, Accepted) and (result.mode in SIMULATED_MODES) is simulated
        ]
        state = DeliveryState.SIMULATED if simulated else DeliveryState.ACCEPTED
        is_consistent = attempts.accept_many(rows, state, now_ms, now_ms + RECEIPT_CHECK_DELAY_MS)
        if not (is_consistent or simulated):
            reports = [DeliveryReport(row["delivery_id"], state, row["provider_id"]) for row in rows]
            conflicting_reports.record_conflicts(reports, now_ms)


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


def _finish_attempt(result: SmsResult, kind: AttemptOutcome, outcome: _FailedOutcome, now_ms: int) -> None:
    code = "" if isinstance(outcome, Unknown) else outcome.code
    details = {"detail": outcome.message, "http_status": outcome.http_status, "error_code": code}
    if result.kind == TextKind.TEST:  # its page shows the response verbatim
        details["provider_response"] = outcome.provider_response
    attempts.finish_attempt(result.attempt_id, kind, now_ms, **details)


def _complete(result: SmsResult, to: DeliveryState, now_ms: int, **changes: Any) -> bool:
    return transitions.complete(result.delivery_id, result.attempt_id, to, now_ms, **changes)


def _back_to_ready(result: SmsResult, code: str, next_at_ms: int, now_ms: int, count_attempt: bool = True) -> bool:
    attempts = Delivery.attempt_count if count_attempt else Delivery.attempt_count - 1
    completed = _complete(result, DeliveryState.READY, now_ms, due_at_ms=next_at_ms, attempt_count=attempts)
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

"""What became of an attempt: each of the ways a call can end moves the delivery its own way."""

from collections.abc import Sequence
from dataclasses import dataclass

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
from portal.messages.rules.report_conflicts import ProviderReport
from portal.messages.tables import bulk_updates, transitions, unresolved
from portal.messages.tables.communications import Attempt, Delivery
from portal.settings.tables import sending_numbers

_TOO_MANY_REQUESTS = 429
_BACKOFF_SECONDS = (1, 2, 5, 10, 30, 60)
_RETRY_WINDOW_MS, _MIN_TRIES = 86_400_000, 300
"""A text is tried for a day. Days in which the lane stood still do not count as such: five hours of tries must be among
them, one a minute."""


@dataclass(frozen=True)
class ReleasedText:
    """The text was not sent since its slot or its lease had passed; it takes a new slot, and no attempt is burned."""


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
        """Whether the provider answered; None where it was not asked, or could not be reached to be asked."""
        if isinstance(self.outcome, ReleasedText) or self.was_unreachable:
            return None
        return not isinstance(self.outcome, Unknown)

    @property
    def was_unreachable(self) -> bool:
        """Whether the provider could not be reached to be asked: nobody was there, or something else answered."""
        return isinstance(self.outcome, NotSent) and not self.outcome.code


def cooldown_after(outcome: Outcome | ReleasedText) -> Cooldown | None:
    """How long the number rests after it; None where the answer tells of no limit. One that is new lasts minutes."""
    if not isinstance(outcome, NotSent) or outcome.code in ("", TOO_MANY_REQUESTS):
        return None
    is_new = outcome.http_status == _TOO_MANY_REQUESTS
    return explain_error_code(outcome.code).cooldown or (Cooldown.FEW_MINUTES if is_new else None)


def blocks_sender(outcome: Outcome | ReleasedText) -> bool:
    """Whether what else is claimed for the number would only be turned away as well."""
    return isinstance(outcome, AccountFault) or cooldown_after(outcome) is not None


def concerns_sender(result: SmsResult) -> bool:
    """Whether the answer tells of a limit of the number, or of a refusal that may be the number's."""
    if result.mode in SIMULATED_MODES:
        return False
    return isinstance(result.outcome, UnrecognizedError) or cooldown_after(result.outcome) is not None


def _stored_response(result: SmsResult) -> dict[str, str]:
    """For the test harness, which shows the answer as it came; of other texts its meaning is kept."""
    if result.kind != TextKind.TEST or isinstance(result.outcome, ReleasedText):
        return {}
    return {"provider_response": result.outcome.provider_response}


def record_results(results: Sequence[SmsResult], now_ms: int) -> None:
    """Inside a transaction. A guarded update that finds nothing has been overtaken by better evidence."""
    bulk_updates.lock_deliveries(result.delivery_id for result in results)
    accepted = [result for result in results if isinstance(result.outcome, Accepted)]
    _record_accepted(accepted, now_ms)
    released = [result for result in results if isinstance(result.outcome, ReleasedText)]
    bulk_updates.release_claims([(result.delivery_id, result.attempt_id) for result in released], now_ms)
    for result in sorted(results, key=lambda result: isinstance(result.outcome, AccountFault)):
        # sending numbers are locked after the ledger, here and where receipts come: nobody waits in a circle
        if not isinstance(result.outcome, Accepted | ReleasedText):
            _record(result, result.outcome, now_ms)


def _record(result: SmsResult, outcome: NotSent | Unknown | AccountFault | Rejected, now_ms: int) -> None:
    if isinstance(outcome, UnrecognizedError) and not _is_simulated_error(result, outcome):
        _record_unrecognized(result, outcome, now_ms)
    elif isinstance(outcome, NotSent) and not _is_simulated_error(result, outcome):
        _record_not_sent(result, outcome, now_ms)
    elif isinstance(outcome, Unknown):
        transitions.complete_attempt(
            result.delivery_id, result.attempt_id, DeliveryState.UNKNOWN, now_ms, due_at_ms=now_ms
        )
        _finish_attempt(result, "unknown", outcome.message, outcome.http_status, "", now_ms)
    elif isinstance(outcome, AccountFault) and result.mode not in SIMULATED_MODES:
        _record_account_fault(result, outcome, now_ms)
    else:
        _record_rejected(result, outcome, now_ms)


def _is_simulated_error(result: SmsResult, outcome: NotSent) -> bool:
    """An error that was asked for, as by a magic number. Tried again once texts are live, it would leave for real."""
    return result.mode in SIMULATED_MODES and outcome.code not in ("", TOO_MANY_REQUESTS)


def _record_account_fault(result: SmsResult, outcome: AccountFault, now_ms: int) -> None:
    """The lane stands still until the fault is mended. A test text has told what it was sent for, and ends here."""
    if result.kind == TextKind.TEST:
        settled = _record_rejected(result, outcome, now_ms)
    else:
        settled = _back_to_ready(result, outcome.code, now_ms, now_ms, count_attempt=False)
        _finish_attempt(result, "account_fault", outcome.message, outcome.http_status, outcome.code, now_ms)
    if not settled:
        return
    tried_at_ms = db.session.get_one(Attempt, result.attempt_id).started_at_ms
    pause_numbers(result.sender, outcome.code, outcome.message, tried_at_ms, now_ms)


def _record_accepted(results: Sequence[SmsResult], now_ms: int) -> None:
    """All in two statements. An answer that was heard late still counts, whatever was thought of the attempt."""
    for simulated in (False, True):
        part = [result for result in results if (result.mode in SIMULATED_MODES) is simulated]
        rows = [
            {
                "delivery_id": result.delivery_id,
                "attempt_id": result.attempt_id,
                "provider_id": result.outcome.provider_id,
                "http_status": result.outcome.http_status,
                "provider_response": _stored_response(result).get("provider_response"),
            }
            for result in part
            if isinstance(result.outcome, Accepted)
        ]
        as_one = bulk_updates.accept_many(
            rows, "simulated" if simulated else "accepted", now_ms, now_ms + RECEIPT_CHECK_DELAY_MS
        )
        if not (as_one or simulated):
            conflicting_reports.record_conflicts([_conflict_report(result) for result in part], now_ms)


def _conflict_report(result: SmsResult) -> DeliveryReport:
    provider_id = result.outcome.provider_id if isinstance(result.outcome, Accepted) else ""
    return DeliveryReport(result.delivery_id, ProviderReport("accepted", provider_id))


def _record_not_sent(result: SmsResult, outcome: NotSent, now_ms: int) -> None:
    """Tried again later, for a day; then it is given up, and said so. Only tries that were turned away count: a way
    to the provider that is gone for days costs nobody their text."""
    delivery = db.session.get_one(Delivery, result.delivery_id, populate_existing=True)
    tries, first_ms = unresolved.not_sent_attempts(delivery.id)
    if cooldown_after(outcome) is not None:
        # the number rests, and not the text: whatever ends the rest, it leaves then
        _back_to_ready(result, outcome.code, now_ms, now_ms, count_attempt=False)
    elif tries >= _MIN_TRIES and now_ms - first_ms > _RETRY_WINDOW_MS and not result.was_unreachable:
        transitions.complete_attempt(
            delivery.id, result.attempt_id, "expired", now_ms, error_code=outcome.code, reason=outcome.message
        )
    else:
        wait_ms = _retry_delay_ms(delivery.attempt_count, outcome)
        _back_to_ready(result, outcome.code, now_ms + wait_ms, now_ms)
    _finish_attempt(result, "not_sent", outcome.message, outcome.http_status, outcome.code, now_ms)


def _record_unrecognized(result: SmsResult, outcome: UnrecognizedError, now_ms: int) -> None:
    """Kept, and tried again later: for good it is refused only when others pass meanwhile, or after a day of tries.

    Of the tries since sending was last resumed, which begins the row anew as well.
    """
    find_sender = sending_numbers.find_sender(result.sender)
    row, resumed_ms = (find_sender.unrecognized_rejections, find_sender.resumed_at_ms or 0) if find_sender else ("", 0)
    times, first_ms = unresolved.unrecognized_attempts(result.delivery_id, resumed_ms)
    others_passed = not unexplained_rejections.contains_recipient(
        row, db.session.get_one(Attempt, result.attempt_id).destination
    )
    is_told = result.kind == TextKind.TEST  # a test text has told what it was sent for
    its_own = is_told or unexplained_rejections.is_message_fault(times + 1, others_passed)
    if its_own or (times and now_ms - first_ms > unexplained_rejections.GIVE_UP_AFTER_MS):
        _record_rejected(result, outcome, now_ms)
        return
    next_at_ms = now_ms + unexplained_rejections.unrecognized_backoff_ms(times + 1)
    _back_to_ready(result, outcome.code, next_at_ms, now_ms, count_attempt=False)
    _finish_attempt(result, "unrecognized_error", outcome.message, outcome.http_status, outcome.code, now_ms)


def _record_rejected(result: SmsResult, outcome: Rejected | AccountFault | NotSent, now_ms: int) -> bool:
    """Whether it is what decided: an answer that contradicts the record is told, and does nothing else."""
    to = "simulated_rejected" if result.mode in SIMULATED_MODES else "rejected"
    if to == "rejected" and outcome.code == OPTED_OUT and result.mode is Mode.LIVE:
        to = "opted_out"
    settled = transitions.complete_attempt(result.delivery_id, result.attempt_id, to, now_ms, error_code=outcome.code)
    _finish_attempt(result, "rejected", outcome.message, outcome.http_status, outcome.code, now_ms)
    if not settled:
        _report_conflict(result, to, outcome.code, now_ms)
    elif to != "simulated_rejected":
        handle_error_code(result.attempt_id, outcome.code, now_ms)
    return settled


def _finish_attempt(result: SmsResult, outcome: str, words: str, status: int | None, code: str, now_ms: int) -> None:
    known = {"detail": words, "http_status": status, "error_code": code, **_stored_response(result)}
    transitions.finish_attempt(result.attempt_id, outcome, now_ms, **known)


def _back_to_ready(result: SmsResult, code: str, next_at_ms: int, now_ms: int, count_attempt: bool = True) -> bool:
    attempts = Delivery.attempt_count if count_attempt else Delivery.attempt_count - 1
    changes = {"due_at_ms": next_at_ms, "attempt_count": attempts}
    settled = transitions.complete_attempt(
        result.delivery_id, result.attempt_id, DeliveryState.READY, now_ms, **changes
    )
    if not settled:
        _report_conflict(result, "rejected", code, now_ms)
    return settled


def _report_conflict(result: SmsResult, to: str, code: str, now_ms: int) -> None:
    """The answer of a call says that the text was not taken, and something else has decided already."""
    if unresolved.is_attempt_accepted(result.attempt_id):
        conflicting_reports.record_conflicts([DeliveryReport(result.delivery_id, ProviderReport(to, ""), code)], now_ms)


def _retry_delay_ms(attempts: int, outcome: NotSent) -> int:
    """What the provider asked for, else longer with every attempt."""
    if outcome.retry_after_seconds is not None:
        return round(outcome.retry_after_seconds * 1000)
    return _BACKOFF_SECONDS[min(max(attempts, 1), len(_BACKOFF_SECONDS)) - 1] * 1000

"""Record the results of calls to the provider: accepted and released texts in bulk, failures one by one."""

from collections.abc import Sequence

from portal.core.rules.delivery_status import DeliveryState
from portal.delivery.receipts import RECEIPT_CHECK_DELAY_MS
from portal.delivery.sms_attempt import ReleasedText, SmsResult
from portal.delivery.sms_failures import record_failure
from portal.gateways.outcomes import Accepted, AccountFault
from portal.messages import conflicting_reports
from portal.messages.conflicting_reports import DeliveryReport
from portal.messages.tables import attempts, transitions


def record_results(results: Sequence[SmsResult], now_ms: int) -> None:
    """Inside a transaction. A guarded update that changes nothing was overtaken by better evidence."""
    transitions.lock_deliveries(result.attempt.delivery_id for result in results)
    _record_accepted(results, now_ms)
    attempts.release_claims([item.attempt for item in results if isinstance(item.outcome, ReleasedText)], now_ms)
    for result in sorted(results, key=lambda result: isinstance(result.outcome, AccountFault)):
        # lock sending numbers after the ledger, as receipts do: the same order prevents deadlocks
        if not isinstance(result.outcome, Accepted | ReleasedText):
            record_failure(result, result.outcome, now_ms)


def _record_accepted(results: Sequence[SmsResult], now_ms: int) -> None:
    """All in two statements. A late response still counts, whatever was assumed about the attempt."""
    accepted = [(item.claimed, item.outcome) for item in results if isinstance(item.outcome, Accepted)]
    for is_simulated, to in ((False, DeliveryState.ACCEPTED), (True, DeliveryState.SIMULATED)):
        pairs = [(claimed.attempt, outcome) for claimed, outcome in accepted if claimed.is_simulated is is_simulated]
        is_consistent = attempts.accept_many(pairs, to, now_ms, now_ms + RECEIPT_CHECK_DELAY_MS)
        if not (is_consistent or is_simulated):
            reports = [DeliveryReport(attempt.delivery_id, to, outcome.provider_id) for attempt, outcome in pairs]
            conflicting_reports.record_conflicts(reports, now_ms)

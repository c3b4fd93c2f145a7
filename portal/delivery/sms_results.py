"""Record the results of calls to the provider: accepted and released texts in bulk, failures one by one."""

from collections.abc import Sequence
from typing import Any

from portal.core.rules.delivery_status import DeliveryState
from portal.core.rules.routing import SIMULATED_MODES, TextKind
from portal.delivery.receipts import RECEIPT_CHECK_DELAY_MS
from portal.delivery.sms_failures import record_failure
from portal.delivery.sms_outcome import ReleasedText, SmsResult
from portal.gateways.outcomes import Accepted, AccountFault
from portal.messages import conflicting_reports
from portal.messages.conflicting_reports import DeliveryReport
from portal.messages.tables import attempts, transitions


def record_results(results: Sequence[SmsResult], now_ms: int) -> None:
    """Inside a transaction. A guarded update that changes nothing was overtaken by better evidence."""
    transitions.lock_deliveries(result.delivery_id for result in results)
    _record_accepted(results, now_ms)
    released = [result for result in results if isinstance(result.outcome, ReleasedText)]
    attempts.release_claims([(result.delivery_id, result.attempt_id) for result in released], now_ms)
    for result in sorted(results, key=lambda result: isinstance(result.outcome, AccountFault)):
        # lock sending numbers after the ledger, as receipts do: the same order prevents deadlocks
        if not isinstance(result.outcome, Accepted | ReleasedText):
            record_failure(result, result.outcome, now_ms)


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

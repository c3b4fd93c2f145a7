"""Invariants of a text in any order of events."""

from portal.core.rules.delivery_status import STATES, UNSENT, WAITING, DeliveryState
from portal.messages.rules.report_conflicts import DUPLICATE_CONFLICTS, ReportConflict
from portal.messages.tables.communications import Delivery


def assert_conflicts_reported(text: Delivery, kinds: set[str]) -> None:
    """Check that contradictory evidence about the text is reported."""
    ids = {attempt.provider_id for attempt in text.attempt_history} | {row.provider_id for row in text.receipts}
    ids.discard(None)
    assert len(ids) <= 1 or kinds & set(DUPLICATE_CONFLICTS)
    if STATES[text.state].final and ids and text.provider_id is None:
        assert ReportConflict.SENT_AND_NOT_SENT in kinds
    outcomes = {row.status for row in text.receipts if row.provider_id == text.provider_id}
    if STATES[text.state].final and "delivered" in outcomes and outcomes & {"failed", "undelivered"}:
        assert ReportConflict.CONFLICTING_OUTCOMES in kinds


_UNSENT_TRANSITIONS: dict[str, tuple[DeliveryState, ...]] = {
    DeliveryState.SENDING: (DeliveryState.READY, DeliveryState.UNKNOWN),
    DeliveryState.UNKNOWN: (DeliveryState.READY,),
}


def is_allowed_transition(before: str, now: str) -> bool:
    """Final states stay final, and what was sent never waits again (I6). One step may be a whole worker run."""
    if now == before:
        return True
    if STATES[before].final or before not in UNSENT:
        return not STATES[before].final and STATES[now].rank > STATES[before].rank
    return (
        now in _UNSENT_TRANSITIONS.get(before, (*WAITING, DeliveryState.SENDING, DeliveryState.UNKNOWN))
        or now not in UNSENT
    )

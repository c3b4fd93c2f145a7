"""What must hold of a text wherever random lives have brought it."""

from portal.core.rules.delivery_status import STATES, UNSENT, WAITING
from portal.messages.rules.report_conflicts import DUPLICATE_CONFLICTS, ReportConflict
from portal.messages.tables.communications import Delivery


def assert_conflicts_reported(text: Delivery, kinds: set[str]) -> None:
    """What cannot all be true of the text."""
    ids = {attempt.provider_id for attempt in text.attempt_history} | {row.provider_id for row in text.receipts}
    ids.discard(None)
    assert len(ids) <= 1 or kinds & set(DUPLICATE_CONFLICTS)
    if STATES[text.state].final and ids and text.provider_id is None:
        assert ReportConflict.SENT_AND_NOT_SENT in kinds
    ends = {row.status for row in text.receipts if row.provider_id == text.provider_id}
    if STATES[text.state].final and "delivered" in ends and ends & {"failed", "undelivered"}:
        assert ReportConflict.CONFLICTING_OUTCOMES in kinds


def is_allowed_transition(before: str, now: str) -> bool:
    """What ended has ended, and what left never waits again (I6). A whole turn of a worker is one step."""
    if now == before:
        return True
    if STATES[before].final or before not in UNSENT:
        return not STATES[before].final and STATES[now].rank > STATES[before].rank
    to_and_fro = {"sending": ("ready", "unknown"), "unknown": ("ready",)}.get(before, (*WAITING, "sending", "unknown"))
    return now in to_and_fro or now not in UNSENT

"""Detect conflicting reports about a text (docs/reliability.md#conflicting-reports).

Receipts arrive in any order, repeated, and a final status never changes (docs/twilio.md#status-callbacks). Two final
statuses of one message conflict if one says that it reached the phone and the other that it did not, in either order:
Twilio itself sends false “delivered” receipts (help page 360038982313), and carriers report late. The later report is
no better than the first, so the first stands (docs/reliability.md#receipts). “failed” and “undelivered” are the same
outcome whatever their code, and so are “delivered” and “read”.
"""

from enum import StrEnum

from portal.core.rules.delivery_status import STATES, StateGroup
from portal.core.translation import N_
from portal.core.translation import gettext as _


class ReportConflict(StrEnum):
    """The value is the action in the audit log (`operations.rules.audit_labels`)."""

    CONFLICTING_OUTCOMES = "text_conflicting_outcomes"
    SENT_AND_NOT_SENT = "text_sent_and_not_sent"
    ACCEPTED_TWICE = "text_accepted_twice"
    LISTED_TWICE = "text_listed_twice"


CONFLICT_LABELS: dict[str, str] = {
    ReportConflict.CONFLICTING_OUTCOMES: N_(
        "Conflicting reports: Twilio reported it as delivered and as not delivered"
    ),
    ReportConflict.SENT_AND_NOT_SENT: N_("Conflicting reports: it was reported as sent and as not sent"),
    ReportConflict.ACCEPTED_TWICE: N_(
        "Duplicate: Twilio accepted it twice or more; the person may have received it twice"
    ),
    ReportConflict.LISTED_TWICE: N_("Duplicate: Twilio lists it twice or more; the person may have received it twice"),
}
"""Labels for the timeline of the text."""
DUPLICATE_CONFLICTS = (ReportConflict.ACCEPTED_TWICE, ReportConflict.LISTED_TWICE)


def find_conflict(recorded: str, recorded_id: str | None, reported: str, reported_id: str) -> ReportConflict | None:
    """Compare two states of a text, each with the Twilio id of its message. None if it can still move forward.

    Nothing is recorded (None) while no message is known to exist. A status that says nothing about delivery is reported
    as "", and so is the id by an answer that says there is no message.
    """
    if not reported_id:
        return ReportConflict.SENT_AND_NOT_SENT if recorded_id else None
    if not STATES[recorded].final:
        return None
    if recorded_id is None or STATES[recorded].group == StateGroup.SIMULATED:
        return ReportConflict.SENT_AND_NOT_SENT
    is_final = bool(reported) and STATES[reported].final
    if recorded_id == reported_id and is_final and _is_delivered(reported) != _is_delivered(recorded):
        return ReportConflict.CONFLICTING_OUTCOMES
    return None


def _is_delivered(state: str) -> bool:
    return STATES[state].group == StateGroup.DELIVERED


def describe_conflict(recorded: str, reported: str) -> str:
    return _(
        "“%(recorded)s” was reported first, so it stays; “%(reported)s” was reported later. Nothing is sent again.",
        recorded=_(recorded),
        reported=_(reported),
    )

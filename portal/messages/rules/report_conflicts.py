"""Conflicting reports about a text: the state stays, administrators are told (docs/reliability.md#conflicting-reports).

Receipts arrive in any order, repeated, and a final status never changes (docs/twilio.md#status-callbacks). So two
ends of one message contradict each other where one says that it reached the phone and the other that it did not, in
either order: Twilio itself tells of false “delivered” (help page 360038982313), and carriers tell late. Neither is the
better one for coming later: the first stands (docs/reliability.md#receipts). “failed” and “undelivered”, with any code,
are one end, and so are “delivered” and “read”.
"""

from dataclasses import dataclass
from enum import StrEnum

from portal.core.rules.delivery_status import STATES


class ReportConflict(StrEnum):
    """By its action in the audit log (`operations.rules.audit_labels`)."""

    CONFLICTING_OUTCOMES = "text_ended_both_ways"
    SENT_AND_NOT_SENT = "text_taken_and_not"
    ACCEPTED_TWICE = "text_taken_twice"
    LISTED_TWICE = "text_listed_twice"


CONFLICT_LABELS: dict[str, str] = {
    ReportConflict.CONFLICTING_OUTCOMES: "ReportConflict: Twilio said that it arrived, and that it did not",
    ReportConflict.SENT_AND_NOT_SENT: "ReportConflict: there is word that it left, and word that it did not",
    ReportConflict.ACCEPTED_TWICE: "ReportConflict: Twilio took it more than once; the person may have it twice",
    ReportConflict.LISTED_TWICE: "ReportConflict: Twilio lists it more than once; the person may have it twice",
}
"""For the story of the text itself."""
DUPLICATE_CONFLICTS = (ReportConflict.ACCEPTED_TWICE, ReportConflict.LISTED_TWICE)


@dataclass(frozen=True)
class RecordedState:
    """Where a text stands, and Twilio's id of the message that brought it there; None while none is known to exist."""

    state: str
    provider_id: str | None


@dataclass(frozen=True)
class ProviderReport:
    """What was told of a text, in a state of ours; "" for a status that says nothing about delivery.

    `provider_id` is Twilio's id of the message that it was told of; "" for an answer that there is none.
    """

    state: str
    provider_id: str


def find_conflict(recorded: RecordedState, told: ProviderReport) -> ReportConflict | None:
    """How what was told contradicts what is recorded; what can still be reconciled by moving forward does not."""
    if not told.provider_id:
        return ReportConflict.SENT_AND_NOT_SENT if recorded.provider_id else None
    if not STATES[recorded.state].final:
        return None
    if recorded.provider_id is None or STATES[recorded.state].group == "simulated":
        return ReportConflict.SENT_AND_NOT_SENT
    one_message = recorded.provider_id == told.provider_id
    if one_message and _is_final(told.state) and _is_delivered(told.state) != _is_delivered(recorded.state):
        return ReportConflict.CONFLICTING_OUTCOMES
    return None


def _is_final(state: str) -> bool:
    return bool(state) and STATES[state].final


def _is_delivered(state: str) -> bool:
    return STATES[state].group == "delivered"


def describe_conflict(recorded: str, told: str) -> str:
    """What stands and what was told beside it, both in words."""
    return f"It stands as “{recorded}”, which came first; “{told}” was told as well. Nothing is sent again."

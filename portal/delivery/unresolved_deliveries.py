"""Texts whose outcome is unknown, in a person's hands: look again now, or decide where no evidence could be had."""

from dataclasses import dataclass

from portal.core import audit_log
from portal.core.context import settings
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.rules import text_input
from portal.core.rules.delivery_status import NO_FURTHER_CHECK_MS, DeliveryState
from portal.core.rules.routing import SIMULATED_MODES
from portal.core.transaction import transaction
from portal.gateways import queue
from portal.messages.tables import transitions, unresolved
from portal.messages.tables.communications import Attempt, Delivery
from portal.settings.live_gateway import live_credentials

SENT, NOT_SENT, RESEND = "sent", "not_sent", "resend"
CONFIRMATION_WORDS = {SENT: "SENT", NOT_SENT: "NOT SENT", RESEND: "RESEND"}
"""What a person types for each of the decisions."""

_ALREADY_RESOLVED = (
    "This text is settled meanwhile: its outcome is known, or somebody else has decided. Nothing was changed."
)
_TOO_EARLY = "It is too early to decide: Twilio’s answer may still settle it. Nothing was changed."
_NOTES = {
    SENT: "No evidence could be had; an administrator took it as sent",
    NOT_SENT: "No evidence could be had; an administrator took it as not sent",
    RESEND: "No evidence could be had; an administrator had it sent again",
}
_AUDIT = {SENT: "text_marked_sent", NOT_SENT: "text_marked_unsent", RESEND: "text_resent"}
_PROVIDER_WAIT_WINDOWS = 2
"""While Twilio can be asked, its answer is waited for so many settle windows before a person may decide."""


@dataclass(frozen=True)
class UnresolvedText:
    """`sent_at_ms` is when the attempt began, `heard_ms` when it was last known to be under way, `why` what was heard.

    `looked_for` is by what Twilio's list would show it. A person may decide from `resolvable_at_ms` on.
    """

    delivery: Delivery
    attempt_id: str
    sent_at_ms: int
    last_seen_ms: int
    last_error: str
    matched_by: str
    is_provider_queryable: bool
    resolvable_at_ms: int

    def can_be_resolved(self, now_ms: int) -> bool:
        return now_ms > self.resolvable_at_ms

    @property
    def unresolved_reason(self) -> str:
        """Why no evidence has settled it."""
        if not self.is_provider_queryable:
            return "It left by another Twilio account than the one that is set now, so nobody can be asked about it."
        if self.delivery.reason:
            return f"{self.delivery.reason}."
        return "Twilio is asked about it again and again, and has given no answer that settles it."


def list_unresolved_texts(limit: int, send_id: int | None = None) -> list[UnresolvedText]:
    """The longest in doubt first, of one send or of all."""
    return [_build_unresolved(delivery, attempt) for delivery, attempt in unresolved.unresolved_texts(limit, send_id)]


def find_unresolved_text(delivery_id: int) -> UnresolvedText | None:
    found = unresolved.unresolved_text(delivery_id)
    return None if found is None else _build_unresolved(*found)


def check_now(delivery_id: int, now_ms: int) -> None:
    """The next sweep asks Twilio, within seconds. Raises `Refused` when there is nothing to ask about."""
    with transaction():
        delivery, _ = _lock_unresolved(delivery_id)
        delivery.due_at_ms = now_ms


def resolve_manually(
    delivery_id: int, decision: str, confirmation: str, attempt_id: str, actor_id: int | None, now_ms: int
) -> None:
    """Take a text as sent or as not sent, or send it again, where no evidence could be had.

    `attempt_id` is the attempt whose outcome was looked at. Raises `Invalid` (fields as `CONFIRMATIONS`) and `Refused`.
    """
    if text_input.clean_code(confirmation) != CONFIRMATION_WORDS[decision]:
        raise InvalidInput({decision: f"Type {CONFIRMATION_WORDS[decision]} to confirm. Nothing was changed."})
    with transaction():
        delivery, attempt = _lock_unresolved(delivery_id)
        if attempt.id != attempt_id:
            raise ActionRefused(_ALREADY_RESOLVED)
        if not _build_unresolved(delivery, attempt).can_be_resolved(now_ms):
            raise ActionRefused(_TOO_EARLY)
        _apply_decision(delivery, attempt.id, decision, now_ms)
        known = {"communication": delivery.communication_id, "attempt": attempt.id}
        audit_log.record_audit_entry(_AUDIT[decision], f"text {delivery_id}", actor_id, now_ms, **known)
    queue.enqueue(settings().redis_url, "drain_sms")


def _apply_decision(delivery: Delivery, attempt_id: str, how: str, now_ms: int) -> None:
    """Evidence that comes after all still counts, but for one taken as not sent: that is final, and kept beside it."""
    if how == SENT:
        never = {"reason": _NOTES[how], "due_at_ms": NO_FURTHER_CHECK_MS}
        transitions.complete_attempt(delivery.id, attempt_id, DeliveryState.ACCEPTED, now_ms, **never)
    elif how == NOT_SENT:
        transitions.complete_attempt(delivery.id, attempt_id, DeliveryState.EXPIRED, now_ms, reason=_NOTES[how])
    else:
        transitions.complete_attempt(delivery.id, attempt_id, DeliveryState.READY, now_ms, reason="", due_at_ms=now_ms)
    transitions.finish_attempt(attempt_id, "unknown", now_ms, detail=_NOTES[how])


def _lock_unresolved(delivery_id: int) -> tuple[Delivery, Attempt]:
    found = unresolved.unresolved_text(delivery_id, lock=True)
    if found is None:
        raise ActionRefused(_ALREADY_RESOLVED)
    return found


def _build_unresolved(delivery: Delivery, attempt: Attempt) -> UnresolvedText:
    credentials = live_credentials()
    same_account = credentials is not None and credentials.account_sid == attempt.account_sid
    can_be_asked = same_account or attempt.mode in SIMULATED_MODES
    heard_ms = attempt.finished_at_ms or attempt.lease_until_ms
    window_ms = round(settings().sms_unknown_seconds * 1000)
    return UnresolvedText(
        delivery=delivery,
        attempt_id=attempt.id,
        sent_at_ms=attempt.slot_at_ms,
        last_seen_ms=heard_ms,
        last_error=attempt.detail or "The process that was sending it ended in the middle.",
        matched_by="its link" if "/c/" in delivery.body else "exactly its words",
        is_provider_queryable=can_be_asked,
        resolvable_at_ms=heard_ms + window_ms * (_PROVIDER_WAIT_WINDOWS if can_be_asked else 1),
    )

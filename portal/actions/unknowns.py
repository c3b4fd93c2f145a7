"""Texts whose outcome is unknown, in a person's hands: look again now, or decide where no evidence could be had."""

from dataclasses import dataclass

from portal.actions.errors import InvalidInput, ActionRefused
from portal.actions.transaction import transaction
from portal.actions.twilio_api import live_credentials
from portal.context import settings
from portal.domain import text_input
from portal.domain.routing import SIMULATED_MODES
from portal.domain.status import NO_MORE_LOOKS_MS
from portal.gateways import queue
from portal.models import audit_log, claims, queues
from portal.models.communication import Attempt, Delivery

SENT, UNSENT, AGAIN = "sent", "unsent", "again"
CONFIRMATIONS = {SENT: "SENT", UNSENT: "NOT SENT", AGAIN: "AGAIN"}
"""What a person types for each of the decisions."""

_SETTLED = "This text is settled meanwhile: its outcome is known, or somebody else has decided. Nothing was changed."
_TOO_EARLY = "It is too early to decide: Twilio’s answer may still settle it. Nothing was changed."
_NOTES = {
    SENT: "No evidence could be had; an administrator took it as sent",
    UNSENT: "No evidence could be had; an administrator took it as not sent",
    AGAIN: "No evidence could be had; an administrator had it sent again",
}
_AUDIT = {SENT: "text_marked_sent", UNSENT: "text_marked_unsent", AGAIN: "text_resent"}
_ASKED_WINDOWS = 2
"""While Twilio can be asked, its answer is waited for so many settle windows before a person may decide."""


@dataclass(frozen=True)
class UnknownText:
    """`sent_at_ms` is when the attempt began, `heard_ms` when it was last known to be under way, `why` what was heard.

    `looked_for` is by what Twilio's list would show it. A person may decide from `decidable_ms` on.
    """

    delivery: Delivery
    attempt_id: str
    sent_at_ms: int
    heard_ms: int
    why: str
    looked_for: str
    can_be_asked: bool
    decidable_ms: int

    def may_be_decided(self, now_ms: int) -> bool:
        return now_ms > self.decidable_ms

    @property
    def why_unsettled(self) -> str:
        """Why no evidence has settled it."""
        if not self.can_be_asked:
            return "It left by another Twilio account than the one that is set now, so nobody can be asked about it."
        if self.delivery.reason:
            return f"{self.delivery.reason}."
        return "Twilio is asked about it again and again, and has given no answer that settles it."


def all_unknown(limit: int, send_id: int | None = None) -> list[UnknownText]:
    """The longest in doubt first, of one send or of all."""
    return [_unknown(delivery, attempt) for delivery, attempt in queues.unknown_texts(limit, send_id)]


def one_unknown(delivery_id: int) -> UnknownText | None:
    found = queues.unknown_text(delivery_id)
    return None if found is None else _unknown(*found)


def look_now(delivery_id: int, now_ms: int) -> None:
    """The next sweep asks Twilio, within seconds. Raises `Refused` when there is nothing to ask about."""
    with transaction():
        delivery, _ = _locked(delivery_id)
        delivery.next_at_ms = now_ms


def decide(delivery_id: int, how: str, typed: str, attempt_id: str, actor_id: int | None, now_ms: int) -> None:
    """Take a text as sent or as not sent, or send it again, where no evidence could be had.

    `attempt_id` is the attempt whose outcome was import_preview at. Raises `Invalid` (fields as `CONFIRMATIONS`) and `Refused`.
    """
    if text_input.clean_code(typed) != CONFIRMATIONS[how]:
        raise InvalidInput({how: f"Type {CONFIRMATIONS[how]} to confirm. Nothing was changed."})
    with transaction():
        delivery, attempt = _locked(delivery_id)
        if attempt.id != attempt_id:
            raise ActionRefused(_SETTLED)
        if not _unknown(delivery, attempt).may_be_decided(now_ms):
            raise ActionRefused(_TOO_EARLY)
        _settle(delivery, attempt.id, how, now_ms)
        known = {"communication": delivery.communication_id, "attempt": attempt.id}
        audit_log.record_audit_entry(_AUDIT[how], f"text {delivery_id}", actor_id, now_ms, **known)
    queue.ring(settings().redis_url, "drain_sms")


def _settle(delivery: Delivery, attempt_id: str, how: str, now_ms: int) -> None:
    """Evidence that comes after all still counts, but for one taken as not sent: that is final, and kept beside it."""
    if how == SENT:
        never = {"reason": _NOTES[how], "next_at_ms": NO_MORE_LOOKS_MS}
        claims.settle(delivery.id, attempt_id, "accepted", now_ms, **never)
    elif how == UNSENT:
        claims.settle(delivery.id, attempt_id, "dead", now_ms, reason=_NOTES[how])
    else:
        claims.settle(delivery.id, attempt_id, "ready", now_ms, reason="", next_at_ms=now_ms)
    claims.finish_attempt(attempt_id, "unknown", now_ms, detail=_NOTES[how])


def _locked(delivery_id: int) -> tuple[Delivery, Attempt]:
    found = queues.unknown_text(delivery_id, lock=True)
    if found is None:
        raise ActionRefused(_SETTLED)
    return found


def _unknown(delivery: Delivery, attempt: Attempt) -> UnknownText:
    credentials = live_credentials()
    same_account = credentials is not None and credentials.account_sid == attempt.account_sid
    can_be_asked = same_account or attempt.mode in SIMULATED_MODES
    heard_ms = attempt.finished_at_ms or attempt.lease_until_ms
    window_ms = round(settings().sms_unknown_seconds * 1000)
    return UnknownText(
        delivery=delivery,
        attempt_id=attempt.id,
        sent_at_ms=attempt.slot_at_ms,
        heard_ms=heard_ms,
        why=attempt.detail or "The process that was sending it ended in the middle.",
        looked_for="its link" if "/c/" in delivery.body else "exactly its words",
        can_be_asked=can_be_asked,
        decidable_ms=heard_ms + window_ms * (_ASKED_WINDOWS if can_be_asked else 1),
    )

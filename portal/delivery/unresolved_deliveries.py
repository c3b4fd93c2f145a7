"""Texts whose outcome is unknown: check again now, or let a person decide if no evidence can be found."""

from dataclasses import dataclass
from typing import Any

from portal.core import audit_log
from portal.core.context import settings
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.rules import text_input
from portal.core.rules.delivery_status import NO_FURTHER_CHECK_MS, DeliveryState
from portal.core.rules.routing import SIMULATED_MODES
from portal.core.transaction import transaction
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.gateways import queue
from portal.messages.rules.attempt_outcome import AttemptOutcome
from portal.messages.tables import attempts, transitions, unresolved
from portal.messages.tables.communications import Attempt, Delivery
from portal.settings.app_settings import live_credentials

SENT, NOT_SENT, RESEND = "sent", "not_sent", "resend"
CONFIRMATION_WORDS = {SENT: "SENT", NOT_SENT: "NOT SENT", RESEND: "RESEND"}
"""What a person types to confirm each decision."""

_ALREADY_RESOLVED = N_("This text has been resolved in the meantime. Nothing was changed.")
_TOO_EARLY = N_("It is too early to decide: Twilio may still answer. Nothing was changed.")
_NO_ANSWER = N_("The process that was sending it ended before an answer came.")
_NOTES = {
    SENT: N_("No evidence found; an administrator marked it as sent"),
    NOT_SENT: N_("No evidence found; an administrator marked it as not sent"),
    RESEND: N_("No evidence found; an administrator sent it again"),
}
_AUDIT = {SENT: "text_marked_sent", NOT_SENT: "text_marked_unsent", RESEND: "text_resent"}
_PROVIDER_WAIT_WINDOWS = 2
"""While Twilio can be asked, a person may decide only after this many settle windows."""


@dataclass(frozen=True)
class UnresolvedText:
    """Twilio’s list is searched for the link of the text if it `has_link`, else for its exact words.

    A person may decide after `resolvable_at_ms`.
    """

    delivery: Delivery
    attempt_id: str
    sent_at_ms: int
    last_seen_ms: int
    last_error: str
    has_link: bool
    is_provider_queryable: bool
    resolvable_at_ms: int

    def can_be_resolved(self, now_ms: int) -> bool:
        return now_ms > self.resolvable_at_ms

    @property
    def unresolved_reason(self) -> str:
        """Why no evidence has resolved it."""
        if not self.is_provider_queryable:
            return _("It was sent from a Twilio account other than the current one, so the portal cannot ask about it.")
        if self.delivery.reason:
            return f"{_(self.delivery.reason)}."
        return _("The portal asks Twilio about it repeatedly, but no answer has resolved it.")


def list_unresolved_texts(limit: int, send_id: int | None = None) -> list[UnresolvedText]:
    """Oldest first, of one send or of all."""
    return [_build_unresolved(delivery, attempt) for delivery, attempt in unresolved.unresolved_texts(limit, send_id)]


def find_unresolved_text(delivery_id: int) -> UnresolvedText | None:
    row = unresolved.unresolved_text(delivery_id)
    return None if row is None else _build_unresolved(*row)


def check_now(delivery_id: int, now_ms: int) -> None:
    """Let the next maintenance round ask Twilio. Raises `ActionRefused` if the text is already resolved."""
    with transaction():
        delivery, _attempt = _lock_unresolved(delivery_id)
        delivery.due_at_ms = now_ms


def resolve_manually(
    delivery_id: int, decision: str, confirmation: str, attempt_id: str, actor_id: int | None, now_ms: int
) -> None:
    """`attempt_id` is the attempt the person looked at. Raises `InvalidInput` for the decision, and `ActionRefused`."""
    if text_input.clean_code(confirmation) != CONFIRMATION_WORDS[decision]:
        word = CONFIRMATION_WORDS[decision]
        raise InvalidInput({decision: _("Type %(word)s to confirm. Nothing was changed.", word=word)})
    with transaction():
        delivery, attempt = _lock_unresolved(delivery_id)
        if attempt.id != attempt_id:
            raise ActionRefused(_(_ALREADY_RESOLVED))
        if not _build_unresolved(delivery, attempt).can_be_resolved(now_ms):
            raise ActionRefused(_(_TOO_EARLY))
        _apply_decision(delivery, attempt.id, decision, now_ms)
        detail = {"communication": delivery.communication_id, "attempt": attempt.id}
        audit_log.record_audit_entry(_AUDIT[decision], f"text {delivery_id}", actor_id, now_ms, **detail)
    queue.enqueue(settings().redis_url, "drain_sms")


def _apply_decision(delivery: Delivery, attempt_id: str, decision: str, now_ms: int) -> None:
    """Later evidence still counts, except after “not sent”: that is final, and the evidence becomes a conflict."""
    note = _NOTES[decision]
    changes: dict[str, dict[str, Any]] = {
        SENT: {"to": DeliveryState.ACCEPTED, "reason": note, "due_at_ms": NO_FURTHER_CHECK_MS},
        NOT_SENT: {"to": DeliveryState.EXPIRED, "reason": note},
        RESEND: {"to": DeliveryState.READY, "reason": "", "due_at_ms": now_ms},
    }
    transitions.complete(delivery.id, attempt_id, now_ms=now_ms, **changes[decision])
    attempts.finish_attempt(attempt_id, AttemptOutcome.UNKNOWN, now_ms, detail=note)


def _lock_unresolved(delivery_id: int) -> tuple[Delivery, Attempt]:
    row = unresolved.unresolved_text(delivery_id, lock=True)
    if row is None:
        raise ActionRefused(_(_ALREADY_RESOLVED))
    return row


def _build_unresolved(delivery: Delivery, attempt: Attempt) -> UnresolvedText:
    credentials = live_credentials()
    same_account = credentials is not None and credentials.account_sid == attempt.account_sid
    is_queryable = same_account or attempt.mode in SIMULATED_MODES
    window_ms = round(settings().sms_unknown_seconds * 1000)
    return UnresolvedText(
        delivery=delivery,
        attempt_id=attempt.id,
        sent_at_ms=attempt.slot_at_ms,
        last_seen_ms=attempt.last_seen_ms,
        last_error=_(attempt.detail or _NO_ANSWER),
        has_link="/c/" in delivery.body,
        is_provider_queryable=is_queryable,
        resolvable_at_ms=attempt.last_seen_ms + window_ms * (_PROVIDER_WAIT_WINDOWS if is_queryable else 1),
    )

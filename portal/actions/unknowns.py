"""Texts whose outcome is unknown, in a person's hands: look again now, or decide where no evidence can be had."""

from dataclasses import dataclass

from portal.actions.errors import Invalid, Refused
from portal.actions.transaction import transaction
from portal.actions.twilio_api import live_credentials
from portal.context import settings
from portal.domain.routing import SIMULATED_MODES
from portal.gateways import queue
from portal.models import audit_log, claims, queues
from portal.models.communication import Attempt, Delivery

SENT, AGAIN = "sent", "again"
CONFIRMATIONS = {SENT: "SENT", AGAIN: "AGAIN"}
"""What a person types for each of the two decisions."""

_SETTLED = "This text is settled meanwhile: its outcome is known."
_TAKEN_AS_SENT = "No evidence could be had; an administrator took it as sent"
_SENT_AGAIN = "No evidence could be had; an administrator had it sent again"


@dataclass(frozen=True)
class UnknownText:
    """`heard_ms` is when the attempt was last known to be under way, `why` what was heard of it then.

    Twilio is asked while `can_be_asked`; where it cannot, a person may decide from `decidable_ms` on.
    """

    delivery: Delivery
    heard_ms: int
    why: str
    can_be_asked: bool
    decidable_ms: int

    def may_be_decided(self, now_ms: int) -> bool:
        return not self.can_be_asked and now_ms > self.decidable_ms


def all_unknown(limit: int) -> list[UnknownText]:
    """The longest in doubt first."""
    return [_unknown(delivery, attempt) for delivery, attempt in queues.unknown_texts(limit)]


def one_unknown(delivery_id: int) -> UnknownText | None:
    found = queues.unknown_text(delivery_id)
    return None if found is None else _unknown(*found)


def look_now(delivery_id: int, now_ms: int) -> None:
    """The next sweep asks Twilio, within seconds. Raises `Refused` when there is nothing to ask about."""
    with transaction():
        delivery, _ = _locked(delivery_id)
        delivery.next_at_ms = now_ms


def decide(delivery_id: int, how: str, typed: str, actor_id: int | None, now_ms: int) -> None:
    """Take a text as sent, or send it again, where nobody can be asked.

    Raises `Invalid` (fields `sent`, `again`) and `Refused`.
    """
    if typed.strip() != CONFIRMATIONS[how]:
        raise Invalid({how: f"Type {CONFIRMATIONS[how]} to confirm. Nothing was changed."})
    with transaction():
        delivery, attempt = _locked(delivery_id)
        if not _unknown(delivery, attempt).may_be_decided(now_ms):
            raise Refused("Twilio can still be asked about this text. Nothing was changed.")
        _settle(delivery, attempt.id, how, now_ms)
        action = "text_taken_as_sent" if how == SENT else "text_sent_again"
        known = {"communication": delivery.communication_id, "attempt": attempt.id}
        audit_log.add(action, f"text {delivery_id}", actor_id, now_ms, **known)
    queue.ring(settings().redis_url, "drain_sms")


def _settle(delivery: Delivery, attempt_id: str, how: str, now_ms: int) -> None:
    """Evidence that comes after all still counts: it moves either state forward."""
    if how == SENT:
        claims.settle(delivery.id, attempt_id, "accepted", now_ms, reason=_TAKEN_AS_SENT)
    else:
        claims.settle(delivery.id, attempt_id, "ready", now_ms, next_at_ms=now_ms)
    claims.finish_attempt(attempt_id, "unknown", now_ms, detail=_TAKEN_AS_SENT if how == SENT else _SENT_AGAIN)


def _locked(delivery_id: int) -> tuple[Delivery, Attempt]:
    found = queues.unknown_text(delivery_id, lock=True)
    if found is None:
        raise Refused(_SETTLED)
    return found


def _unknown(delivery: Delivery, attempt: Attempt) -> UnknownText:
    credentials = live_credentials()
    same_account = credentials is not None and credentials.account_sid == attempt.account_sid
    heard_ms = attempt.finished_at_ms or attempt.lease_until_ms
    return UnknownText(
        delivery=delivery,
        heard_ms=heard_ms,
        why=attempt.detail or "The process that was sending it ended in the middle.",
        can_be_asked=same_account or attempt.mode in SIMULATED_MODES,
        decidable_ms=heard_ms + round(settings().sms_settle_seconds * 1000),
    )

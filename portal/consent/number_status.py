"""How a phone number on an account stands with texts, in words, and what can be done about it."""

from dataclasses import dataclass, replace
from typing import Literal

from sqlalchemy import select

from portal.accounts.tables.phone_numbers import PhoneNumber
from portal.consent.recording import consent_state_of, recipient_for_start
from portal.consent.rules.consent_state import REQUEST_VALID_MS, ConsentState, EventKind, open_requests
from portal.consent.tables.ledger import ConsentEvent, event_day, has_consented
from portal.core.context import settings
from portal.core.extensions import db
from portal.core.rules.delivery_status import STATES
from portal.core.rules.phone import format_phone
from portal.core.rules.routing import Reason, TextKind
from portal.messages.tables.communications import Communication, Delivery
from portal.messages.timeline import describe_state, redirect_note

POLLING_WINDOW_MS = 3_600_000
"""Whoever has not answered an invitation within the hour is not expected to do so while the page is looked at."""


@dataclass(frozen=True)
class NumberStatus:
    """`since_ms` is since when; `detail` a sentence that says what comes next; `pending` while news is expected.

    `action` is what a button may offer: invite, wish (where no invitation can be texted), confirm (a number that could
    not be reached), or nothing.
    """

    label: str
    tone: str
    since_ms: int | None = None
    detail: str = ""
    action: Literal["invite", "request_start", "confirm", ""] = ""
    pending: bool = False
    since_day: str = ""
    """Where no more than the day is known."""


_UNDECIDED_TEXT = (
    "START came from that phone, and it is not known for which account. An administrator decides, unless you ask for "
    "texts here and START comes again."
)
_NOT_ENABLED_STATUS = NumberStatus("Not enabled for texts", "off", action="invite")


def number_status(phone: PhoneNumber, sending_number: str, now_ms: int, to_admin: bool = False) -> NumberStatus:
    """`sending_number` is the number that START is texted to, as people read it.

    Anybody can put a stranger's number on their account, so its holder learns of the handset's answers only those
    that this account took part in. That a number is dead is told to everybody: nobody else could say that it is not.
    """
    now, invitation = consent_state_of(phone.number), _newest_invitation(phone)
    is_recipient = now.recipient_id == phone.account_id
    may_see_answers = to_admin or is_recipient or has_consented(phone.number, phone.account_id)
    asked_ms = open_requests(now, now_ms).get(phone.account_id)
    if asked_ms is not None and (
        now.stopped_at_ms is not None or asked_ms == now.requested_at_ms.get(phone.account_id)
    ):
        return _requested_status(phone, asked_ms, sending_number, now_ms)
    if now.stopped_at_ms is not None and (may_see_answers or _is_reply_to_invitation(now.stopped_at_ms, invitation)):
        day = event_day(now.stopped_by_event_id, now.stopped_at_ms)
        return replace(_stopped_status(phone, now.stopped_at_ms, sending_number, now_ms), since_day=day)
    if now.unreachable_at_ms is not None:
        return _unreachable_status(now.unreachable_at_ms)
    if is_recipient:
        return NumberStatus(
            "Enabled for texts",
            "ok",
            now.receiving_since_ms,
            since_day=event_day(now.enabled_by_event_id, now.receiving_since_ms),
        )
    return _status_without_texts(phone, now, invitation, sending_number, now_ms, may_see_answers)


def _status_without_texts(
    phone: PhoneNumber,
    now: ConsentState,
    invitation: Delivery | None,
    sending_number: str,
    now_ms: int,
    may_see_answers: bool,
) -> NumberStatus:
    invited_ms = open_requests(now, now_ms).get(phone.account_id)
    if invited_ms is not None:
        return _invited_status(phone, invitation, invited_ms, sending_number, now_ms)
    if now.recipient_id is not None and may_see_answers:
        return NumberStatus(Reason.OTHER_ACCOUNT_RECEIVES.label, "off", action="invite")
    if now.unassigned_start_id is not None and may_see_answers:
        return NumberStatus("Waits for a decision", "wait", detail=_UNDECIDED_TEXT, action="invite")
    return _NOT_ENABLED_STATUS


def _stopped_status(phone: PhoneNumber, stopped_ms: int, sending_number: str, now_ms: int) -> NumberStatus:
    start = f"only a text with the word START from that phone to {sending_number} turns texts on again."
    if recipient_for_start(phone.number, now_ms) == phone.account_id:
        return NumberStatus("Stopped by its owner", "off", stopped_ms, f"No button here can undo that: {start}")
    ask = "START goes to the account that asked for texts last, so ask for them here first."
    return NumberStatus(
        "Stopped by its owner", "off", stopped_ms, f"{start[0].upper()}{start[1:]} {ask}", "request_start"
    )


def _requested_status(phone: PhoneNumber, asked_ms: int, sending_number: str, now_ms: int) -> NumberStatus:
    shown = format_phone(phone.number, settings().region)
    answer = f"Text START from {shown} to {sending_number}. Nothing is texted before that."
    return NumberStatus(
        "Asked for, waiting for START", "wait", asked_ms, answer, "", now_ms - asked_ms < POLLING_WINDOW_MS
    )


def _unreachable_status(unreachable_ms: int) -> NumberStatus:
    ask = "A text could not be delivered. Check the number: confirm it if it is right, or remove it and add another."
    return NumberStatus("Cannot receive texts", "bad", unreachable_ms, ask, "confirm")


def _invited_status(
    phone: PhoneNumber, invitation: Delivery | None, invited_ms: int, sending_number: str, now_ms: int
) -> NumberStatus:
    group = STATES[invitation.state].group if invitation is not None else "waiting"
    if invitation is not None and (rehearsed := _rerouted_notice(invitation)):
        label = "Invitation simulated" if group == "simulated" else "Invitation sent to the override number"
        return NumberStatus(label, "off", invited_ms, rehearsed, "invite")
    if invitation is not None and group in ("failed", "skipped", "canceled"):
        return NumberStatus("Invitation not delivered", "bad", None, describe_state(invitation)[2], "invite")
    watched, shown = now_ms - invited_ms < POLLING_WINDOW_MS, format_phone(phone.number, settings().region)
    if group in ("waiting", "sending"):
        return NumberStatus("Invitation on its way", "wait", invited_ms, f"It is going to {shown}.", pending=watched)
    answer = f"Reply START from {shown}, or text START to {sending_number}. Nothing else is texted before that."
    return NumberStatus("Invitation sent, waiting for START", "wait", invited_ms, answer, "invite", watched)


def _rerouted_notice(invitation: Delivery) -> str:
    """What became of an invitation that no phone of the person's got; "" where theirs is the one it went to."""
    told = redirect_note(invitation)
    return f"{told} So no START can come in answer: ask for another once texts reach phones." if told else ""


def _is_reply_to_invitation(stopped_ms: int, invitation: Delivery | None) -> bool:
    """Whether a STOP came after this account's own invitation, so that it is an answer to it."""
    return invitation is not None and 0 <= stopped_ms - invitation.created_at_ms <= REQUEST_VALID_MS


def _newest_invitation(phone: PhoneNumber) -> Delivery | None:
    """The text of the newest invitation of this number to this account."""
    query = (
        select(Delivery)
        .join(Communication)
        .join(ConsentEvent, ConsentEvent.id == Communication.consent_event_id)
        .where(
            Communication.kind == TextKind.INVITATION,
            ConsentEvent.kind == EventKind.INVITED,
            ConsentEvent.number == phone.number,
            ConsentEvent.account_id == phone.account_id,
        )
    )
    return db.session.scalars(query.order_by(Communication.id.desc()).limit(1)).first()

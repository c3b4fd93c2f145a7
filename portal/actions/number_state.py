"""How a phone number on an account stands with texts, in words, and what can be done about it."""

from dataclasses import dataclass, replace
from typing import Literal

from sqlalchemy import select

from portal.actions.consent import standing_of, whom_start_would_give
from portal.actions.timeline import explain_state, where_to
from portal.context import settings
from portal.domain.consent import INVITATION_OPEN_MS, Kind, Standing, invited_now
from portal.domain.phone import friendly
from portal.domain.routing import Reason, TextKind
from portal.domain.status import STATES
from portal.extensions import db
from portal.models.communication import Communication, Delivery
from portal.models.consent import ConsentEvent, day_of, has_consented
from portal.models.phone import PhoneNumber

WATCHED_MS = 3_600_000
"""Whoever has not answered an invitation within the hour is not expected to do so while the page is looked at."""


@dataclass(frozen=True)
class NumberState:
    """`since_ms` is since when; `detail` a sentence that says what comes next; `pending` while news is expected.

    `action` is what a button may offer: invite, wish (where no invitation can be texted), confirm (a number that could
    not be reached), or nothing.
    """

    words: str
    tone: str
    since_ms: int | None = None
    detail: str = ""
    action: Literal["invite", "wish", "confirm", ""] = ""
    pending: bool = False
    since_day: str = ""
    """Where no more than the day is known."""


_UNDECIDED = (
    "START came from that phone, and it is not known for which account. An administrator decides, unless you ask for "
    "texts here and START comes again."
)
_NOT_ENABLED = NumberState("Not enabled for texts", "off", action="invite")


def number_state(phone: PhoneNumber, sending_number: str, now_ms: int, to_admin: bool = False) -> NumberState:
    """`sending_number` is the number that START is texted to, as people read it.

    Anybody can put a stranger's number on their account, so its holder learns of the handset's answers only those
    that this account took part in. That a number is dead is told to everybody: nobody else could say that it is not.
    """
    now, invitation = standing_of(phone.number), _invitation(phone)
    ours = now.holder == phone.account_id
    knows = to_admin or ours or has_consented(phone.number, phone.account_id)
    asked_ms = invited_now(now, now_ms).get(phone.account_id)
    if asked_ms is not None and (now.stopped_ms is not None or asked_ms == now.wished.get(phone.account_id)):
        return _wished(phone, asked_ms, sending_number, now_ms)
    if now.stopped_ms is not None and (knows or _answers(now.stopped_ms, invitation)):
        day = day_of(now.stopped_by, now.stopped_ms)
        return replace(_stopped(phone, now.stopped_ms, sending_number, now_ms), since_day=day)
    if now.unreachable_ms is not None:
        return _unreachable(now.unreachable_ms)
    if ours:
        return NumberState("Enabled for texts", "ok", now.since_ms, since_day=day_of(now.enabled_by, now.since_ms))
    return _without_texts(phone, now, invitation, sending_number, now_ms, knows)


def _without_texts(
    phone: PhoneNumber, now: Standing, invitation: Delivery | None, sending_number: str, now_ms: int, knows: bool
) -> NumberState:
    invited_ms = invited_now(now, now_ms).get(phone.account_id)
    if invited_ms is not None:
        return _invited(phone, invitation, invited_ms, sending_number, now_ms)
    if now.holder is not None and knows:
        return NumberState(Reason.HELD_BY_OTHER.words, "off", action="invite")
    if now.unanswered is not None and knows:
        return NumberState("Waits for a decision", "wait", detail=_UNDECIDED, action="invite")
    return _NOT_ENABLED


def _stopped(phone: PhoneNumber, stopped_ms: int, sending_number: str, now_ms: int) -> NumberState:
    start = f"only a text with the word START from that phone to {sending_number} turns texts on again."
    if whom_start_would_give(phone.number, now_ms) == phone.account_id:
        return NumberState("Stopped by its owner", "off", stopped_ms, f"No button here can undo that: {start}")
    ask = "START goes to the account that asked for texts last, so ask for them here first."
    return NumberState("Stopped by its owner", "off", stopped_ms, f"{start[0].upper()}{start[1:]} {ask}", "wish")


def _wished(phone: PhoneNumber, asked_ms: int, sending_number: str, now_ms: int) -> NumberState:
    shown = friendly(phone.number, settings().region)
    answer = f"Text START from {shown} to {sending_number}. Nothing is texted before that."
    return NumberState("Asked for, waiting for START", "wait", asked_ms, answer, "", now_ms - asked_ms < WATCHED_MS)


def _unreachable(unreachable_ms: int) -> NumberState:
    ask = "A text could not be delivered. Check the number: confirm it if it is right, or remove it and add another."
    return NumberState("Cannot receive texts", "bad", unreachable_ms, ask, "confirm")


def _invited(
    phone: PhoneNumber, invitation: Delivery | None, invited_ms: int, sending_number: str, now_ms: int
) -> NumberState:
    group = STATES[invitation.state].group if invitation is not None else "waiting"
    if invitation is not None and (rehearsed := _elsewhere(invitation)):
        label = "Invitation simulated" if group == "simulated" else "Invitation sent to the override number"
        return NumberState(label, "off", invited_ms, rehearsed, "invite")
    if invitation is not None and group in ("failed", "skipped", "canceled"):
        return NumberState("Invitation not delivered", "bad", None, explain_state(invitation)[2], "invite")
    watched, shown = now_ms - invited_ms < WATCHED_MS, friendly(phone.number, settings().region)
    if group in ("waiting", "sending"):
        return NumberState("Invitation on its way", "wait", invited_ms, f"It is going to {shown}.", pending=watched)
    answer = f"Reply START from {shown}, or text START to {sending_number}. Nothing else is texted before that."
    return NumberState("Invitation sent, waiting for START", "wait", invited_ms, answer, "invite", watched)


def _elsewhere(invitation: Delivery) -> str:
    """What became of an invitation that no phone of the person's got; "" where theirs is the one it went to."""
    told = where_to(invitation)
    return f"{told} So no START can come in answer: ask for another once texts reach phones." if told else ""


def _answers(stopped_ms: int, invitation: Delivery | None) -> bool:
    """Whether a STOP came after this account's own invitation, so that it is an answer to it."""
    return invitation is not None and 0 <= stopped_ms - invitation.created_at_ms <= INVITATION_OPEN_MS


def _invitation(phone: PhoneNumber) -> Delivery | None:
    """The text of the newest invitation of this number to this account."""
    query = (
        select(Delivery)
        .join(Communication)
        .join(ConsentEvent, ConsentEvent.id == Communication.consent_event_id)
        .where(
            Communication.kind == TextKind.INVITATION,
            ConsentEvent.kind == Kind.INVITED,
            ConsentEvent.number == phone.number,
            ConsentEvent.account_id == phone.account_id,
        )
    )
    return db.session.scalars(query.order_by(Communication.id.desc()).limit(1)).first()

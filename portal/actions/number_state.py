"""How a phone number on an account stands with texts, in words, and what can be done about it."""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import select

from portal.actions.consent import standing_of
from portal.actions.timeline import explain_state
from portal.context import settings
from portal.domain.consent import Kind, Standing, invited_now
from portal.domain.phone import friendly
from portal.domain.routing import Reason, TextKind
from portal.domain.status import STATES
from portal.extensions import db
from portal.models.communication import Communication, Delivery
from portal.models.consent import ConsentEvent, has_consented
from portal.models.phone import PhoneNumber

_BAD_GROUPS = ("failed", "skipped")


@dataclass(frozen=True)
class NumberState:
    """`since_ms` is since when; `detail` a sentence that says what comes next; `pending` while news is expected.

    `action` is what a button may offer: invite, confirm (a number that could not be reached), or nothing.
    """

    words: str
    tone: str
    since_ms: int | None = None
    detail: str = ""
    action: Literal["invite", "confirm", ""] = ""
    pending: bool = False


def number_state(phone: PhoneNumber, sending_number: str, now_ms: int, to_admin: bool = False) -> NumberState:
    """`sending_number` is the number that START is texted to, as people read it.

    Anybody can put a stranger's number on their account, so its holder learns only what this account took part in.
    """
    now = standing_of(phone.number)
    if not to_admin and now.holder != phone.account_id and not has_consented(phone.number, phone.account_id):
        return NumberState("Not enabled for texts", "off", action="invite")
    if now.stopped_ms is not None:
        again = f"Only a text with the word START from that phone to {sending_number} turns them on again."
        return NumberState("Stopped by its owner", "off", now.stopped_ms, again)
    if now.unreachable_ms is not None:
        ask = (
            "A text could not be delivered. Check the number: confirm it if it is right, or remove it and add another."
        )
        return NumberState(Reason.UNREACHABLE.words, "bad", now.unreachable_ms, ask, "confirm")
    if now.holder == phone.account_id:
        return NumberState("Enabled for texts", "ok", now.since_ms)
    return _not_holding(phone, now, sending_number, now_ms, to_admin)


def _not_holding(phone: PhoneNumber, now: Standing, sending_number: str, now_ms: int, to_admin: bool) -> NumberState:
    invited_ms = invited_now(now, now_ms).get(phone.account_id)
    if invited_ms is not None:
        return _invited(phone, invited_ms, sending_number)
    if now.holder is not None and (to_admin or has_consented(phone.number, phone.account_id)):
        return NumberState(Reason.HELD_BY_OTHER.words, "off", action="invite")
    return NumberState("Not enabled for texts", "off", action="invite")


def _invited(phone: PhoneNumber, invited_ms: int, sending_number: str) -> NumberState:
    delivery = _invitation(phone)
    if delivery is not None and STATES[delivery.state].group in _BAD_GROUPS:
        return NumberState("Invitation not delivered", "bad", invited_ms, explain_state(delivery)[2], "invite")
    shown = friendly(phone.number, settings().region)
    if delivery is None or STATES[delivery.state].group in ("waiting", "sending"):
        return NumberState("Invitation on its way", "wait", invited_ms, f"It is being sent to {shown}.", pending=True)
    answer = f"Reply START from {shown}, or text START to {sending_number}. Nothing is texted before that."
    return NumberState("Invitation sent", "wait", invited_ms, answer, "invite", pending=True)


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

"""The status of a phone number on an account, and the action that its page offers."""

from dataclasses import dataclass, replace
from typing import Literal

from sqlalchemy import select

from portal.accounts.tables.phone_numbers import PhoneNumber
from portal.consent.recording import consent_state_of, recipient_for_start
from portal.consent.rules.consent_labels import event_label
from portal.consent.rules.consent_state import REQUEST_VALID_MS, ConsentState, EventKind, open_requests
from portal.consent.tables.ledger import ConsentEvent, consented_numbers, event_day
from portal.core.context import settings
from portal.core.extensions import db
from portal.core.rules.delivery_status import STATES, StateGroup
from portal.core.rules.phone import format_phone
from portal.core.rules.routing import Reason, TextKind
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.messages.tables.communications import Communication, Delivery
from portal.messages.timeline import describe_state, redirect_note

POLLING_WINDOW_MS = 3_600_000
"""The page stops polling for an answer to an invitation that is older than this."""


@dataclass(frozen=True)
class NumberStatus:
    """`detail` says what happens next.

    While `pending`, a change is expected soon; while `is_live`, STOP or START from the phone changes it at any time.
    `last_event` says what led to it. `awaits_start`: START from the phone gives the texts to this account.
    """

    label: str
    tone: str
    since_ms: int | None = None
    detail: str = ""
    action: Literal["invite", "request_start", "confirm", "stop", ""] = ""
    pending: bool = False
    since_day: str = ""
    """Set if only the day is known."""
    is_live: bool = False
    last_event: str = ""
    awaits_start: bool = False


_UNDECIDED_TEXT = N_(
    "That phone replied START, but it is not clear for which account. An administrator decides, unless you ask for "
    "texts here and the phone replies START again."
)
_UNREACHABLE_TEXT = N_(
    "A text could not be delivered. Check the number: confirm it if it is right, or remove it and add another."
)

_DEACTIVATED_TEXT = N_(
    "Your carrier reports that this number is no longer in service. If it is still yours, confirm it, and then text "
    "START from that phone. If not, remove it and add your new number."
)


def number_status(phone: PhoneNumber, sending_number: str, now_ms: int, to_admin: bool = False) -> NumberStatus:
    """`sending_number` is the number to text START to, formatted for people.

    Anybody can add a stranger's number, so an account only sees the handset's answers to its own requests
    (docs/consent-rules.md#whose-number-it-is). Everybody sees that a number is unreachable, to confirm it.
    """
    state, invitation = consent_state_of(phone.number), _newest_invitation(phone)
    is_recipient = state.recipient_id == phone.account_id
    may_see_answers = to_admin or is_recipient or phone.number in consented_numbers(phone.account_id)
    request_ms, stopped_ms = open_requests(state, now_ms).get(phone.account_id), state.stopped_at_ms
    is_invited = request_ms is not None and state.requests[phone.account_id].kind == EventKind.INVITED
    if request_ms is not None and (stopped_ms is not None or not is_invited):
        return _requested_status(phone, request_ms, sending_number, now_ms)
    if stopped_ms is not None and (may_see_answers or _is_reply_to_invitation(stopped_ms, invitation)):
        day = event_day(state.stopped_by_event_id, stopped_ms)
        status = _stopped_status(phone, stopped_ms, sending_number, now_ms)
        return replace(status, since_day=day, last_event=_event_text(state.stopped_by_event_id))
    if state.is_deactivated:
        label = _("No longer in service")
        return NumberStatus(label, "bad", state.unreachable_at_ms, _(_DEACTIVATED_TEXT), "confirm")
    if state.unreachable_at_ms is not None:
        return NumberStatus(_("Cannot receive texts"), "bad", state.unreachable_at_ms, _(_UNREACHABLE_TEXT), "confirm")
    if is_recipient:
        event_id = state.enabled_by_event_id
        day, event = event_day(event_id, state.receiving_since_ms), _event_text(event_id)
        enabled = NumberStatus(_("Enabled for texts"), "ok", state.receiving_since_ms, "", "stop", since_day=day)
        return replace(enabled, is_live=True, last_event=event)
    if request_ms is not None:
        return _invited_status(phone, invitation, request_ms, sending_number, now_ms)
    return _uninvited_status(state if may_see_answers else ConsentState())


def _uninvited_status(state: ConsentState) -> NumberStatus:
    if state.recipient_id is not None:
        return NumberStatus(_(Reason.OTHER_ACCOUNT_RECEIVES.label), "off", action="invite")
    if state.unassigned_start_id is not None:
        return NumberStatus(_("Waiting for a decision"), "wait", detail=_(_UNDECIDED_TEXT), action="invite")
    return NumberStatus(_("Not enabled for texts"), "off", action="invite")


def _stopped_status(phone: PhoneNumber, stopped_ms: int, sending_number: str, now_ms: int) -> NumberStatus:
    label = _("Texts stopped")
    detail = _(
        "Only a text with the word START from that phone to %(number)s turns texts on again.", number=sending_number
    )
    if recipient_for_start(phone.number, now_ms) == phone.account_id:
        return NumberStatus(label, "off", stopped_ms, detail, is_live=True, awaits_start=True)
    advice = _("START counts for the account that asked for texts last, so ask for them here first.")
    return NumberStatus(label, "off", stopped_ms, f"{detail} {advice}", "request_start", is_live=True)


def _requested_status(phone: PhoneNumber, request_ms: int, sending_number: str, now_ms: int) -> NumberStatus:
    detail = _(
        "Text START from %(phone)s to %(number)s. No texts are sent until then.",
        phone=_display_phone(phone),
        number=sending_number,
    )
    pending = now_ms - request_ms < POLLING_WINDOW_MS
    label = _("Requested, waiting for START")
    return NumberStatus(label, "wait", request_ms, detail, pending=pending, awaits_start=True)


def _invited_status(
    phone: PhoneNumber, invitation: Delivery | None, invited_ms: int, sending_number: str, now_ms: int
) -> NumberStatus:
    group = STATES[invitation.state].group if invitation is not None else StateGroup.WAITING
    if invitation is not None and (note := redirect_note(invitation)):
        is_simulated = group == StateGroup.SIMULATED
        label = _("Invitation simulated") if is_simulated else _("Invitation sent to the override number")
        detail = _("%(note)s Nobody can reply START to it. Send another invitation once texts reach phones.", note=note)
        return NumberStatus(label, "off", invited_ms, detail, "invite")
    if invitation is not None and group in (StateGroup.FAILED, StateGroup.SKIPPED, StateGroup.CANCELED):
        return NumberStatus(_("Invitation not delivered"), "bad", None, describe_state(invitation)[2], "invite")
    pending, display = now_ms - invited_ms < POLLING_WINDOW_MS, _display_phone(phone)
    if group in (StateGroup.WAITING, StateGroup.SENDING):
        detail = _("It is going to %(phone)s.", phone=display)
        return NumberStatus(_("Invitation on its way"), "wait", invited_ms, detail, pending=pending)
    detail = _(
        "Reply START from %(phone)s, or text START to %(number)s. That phone gets no other texts until then.",
        phone=display,
        number=sending_number,
    )
    label = _("Invitation sent, waiting for START")
    return NumberStatus(label, "wait", invited_ms, detail, "invite", pending, awaits_start=True)


def _event_text(event_id: int | None) -> str:
    """What the person, or somebody for them, did; not what a move or a merge of accounts brought about."""
    event = db.session.get(ConsentEvent, event_id) if event_id else None
    shown = (EventKind.STOP, EventKind.START, EventKind.OPT_IN)
    return event_label(event.kind, event.source).text if event and event.kind in shown else ""


def _display_phone(phone: PhoneNumber) -> str:
    return format_phone(phone.number, settings().region)


def _is_reply_to_invitation(stopped_ms: int, invitation: Delivery | None) -> bool:
    """Return whether the STOP came after this account's invitation and so answers it."""
    return invitation is not None and 0 <= stopped_ms - invitation.created_at_ms <= REQUEST_VALID_MS


def _newest_invitation(phone: PhoneNumber) -> Delivery | None:
    """The text of the account's newest invitation to this number."""
    query = select(Delivery).join(Communication).join(ConsentEvent, ConsentEvent.id == Communication.consent_event_id)
    query = query.where(Communication.kind == TextKind.INVITATION, ConsentEvent.kind == EventKind.INVITED)
    query = query.where(ConsentEvent.number == phone.number, ConsentEvent.account_id == phone.account_id)
    return db.session.scalars(query.order_by(Communication.id.desc()).limit(1)).first()

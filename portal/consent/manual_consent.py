"""What administrators do about consent: opt a number out, move its texts, decide about a reply.

Nothing here clears a STOP: only START from the handset does (docs/consent-rules.md#only-start-reopens).
"""

from dataclasses import dataclass
from typing import Any

from portal.accounts.account_permissions import require_permission
from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import phones_with
from portal.consent import consent_notifications, recording
from portal.consent.rules.consent_labels import DECISION_LABELS, OPT_OUT_CHANNELS
from portal.consent.rules.consent_state import ConsentState, EventKind, EventSource, LedgerEvent, apply_event
from portal.consent.rules.keywords import ReplyCategory
from portal.consent.tables import ledger
from portal.consent.tables.inbound_messages import InboundMessage
from portal.core.actor import Actor
from portal.core.audit_log import record_audit_entry
from portal.core.context import settings
from portal.core.errors import ActionRefused, invalid_input
from portal.core.extensions import db
from portal.core.rules import text_input
from portal.core.rules.phone import PhoneError, UnlistedNumber, is_e164, mask_phone, to_e164
from portal.core.transaction import transaction
from portal.core.translation import gettext as _
from portal.gateways import queue

MAX_REASON_LENGTH = 1_000
_MAX_TEXT_LENGTH = 1_600


@dataclass(frozen=True)
class OptOut:
    """A valid opt-out: `number` in E.164, `channel` one of `OPT_OUT_CHANNELS`, `reason` the evidence."""

    number: str
    channel: str
    reason: str


def check_opt_out(phone: str, channel: str, reason: str, confirmed_phone: str = "") -> OptOut:
    """Check an opt-out without recording it. `confirmed_phone` is a number whose digits a person has confirmed.

    Raises `InvalidInput` (fields `number`, `channel` and `reason`) or `NumberUnconfirmed`.
    """
    number, errors, unconfirmed = _parse_number(phone, confirmed_phone)
    reason = text_input.clean_lines(reason).strip()
    if channel not in OPT_OUT_CHANNELS:
        errors["channel"] = _("Choose how the person asked to be opted out.")
    if not reason:
        errors["reason"] = _("Write down what the person said or wrote. It is kept as evidence.")
    if len(reason) > MAX_REASON_LENGTH:
        errors["reason"] = _(
            "Keep it to %(limit)s characters; this has %(count)s.", limit=MAX_REASON_LENGTH, count=len(reason)
        )
    if errors:
        raise invalid_input(errors, unconfirmed)
    return OptOut(number, channel, reason)


def opt_out(phone: str, channel: str, reason: str, actor: Actor, now_ms: int, confirmed_phone: str = "") -> str:
    """Opt the number out for every account and return it in E.164. Raises as `check_opt_out` does."""
    valid = check_opt_out(phone, channel, reason, confirmed_phone)
    columns = {"text": valid.reason, "detail": {"channel": valid.channel}, **actor.ledger_columns}
    with transaction():
        event_id = recording.record(valid.number, EventKind.STOP, EventSource.MANUAL, now_ms, now_ms, **columns)
        record_audit_entry("opted_out", mask_phone(valid.number), actor.account_id, now_ms, ledger_event=event_id)
    queue.enqueue(settings().redis_url, "drain_sms")
    return valid.number


def can_move_texts(state: ConsentState, account_id: int) -> bool:
    """Return whether an administrator can give the texts to the account: the handset must have agreed to them."""
    moved = apply_event(state, LedgerEvent(0, EventKind.MOVED, 0, account_id))
    return state.recipient_id != account_id and moved.recipient_id == account_id


def move_texts(number: str, account_id: int, actor: Actor, now_ms: int) -> None:
    """Give the number's texts to the account, and notify it and whoever loses them. Raises `ActionRefused`."""
    with transaction():
        ledger.lock_ledger()
        detail = _move(number, account_id, actor, now_ms)
        record_audit_entry("texts_moved", mask_phone(number), actor.account_id, now_ms, **detail)
    queue.enqueue(settings().redis_url, "drain_email")


def decide_reply(message_id: int, decision: str, actor: Actor, now_ms: int, account_id: int | None = None) -> None:
    """`decision` is stop, moved or nothing; `account_id` gets the texts if they are moved.

    Raises `ActionRefused`, also if somebody has already decided.
    """
    with transaction():
        message = lock_reply(message_id)
        require_undecided(message)
        detail = _apply_decision(message, decision, account_id, actor, now_ms)
        message.decision, message.decided_by_id, message.decided_at_ms = decision, actor.account_id, now_ms
        record_audit_entry(f"reply_{decision}", f"reply {message_id}", actor.account_id, now_ms, **detail)
    for job in ("drain_sms", "drain_email") if decision != "nothing" else ():
        queue.enqueue(settings().redis_url, job)


def lock_reply(message_id: int) -> InboundMessage:
    """Lock consent and the reply: nobody else decides on it before the transaction ends. Raises `ActionRefused`."""
    ledger.lock_ledger()
    return lock_reply_only(message_id)


def lock_reply_only(message_id: int) -> InboundMessage:
    """Lock the reply alone, so that recording consent does not wait. Raises `ActionRefused`."""
    message = db.session.get(InboundMessage, message_id, populate_existing=True, with_for_update=True)
    if message is None or not message.needs_review:
        raise ActionRefused(_("There is no such reply to decide on."))
    return message


def require_undecided(message: InboundMessage) -> None:
    if message.decision:
        account = db.session.get(Account, message.decided_by_id or 0)
        name, decision = account.name if account else _("An administrator"), _(DECISION_LABELS[message.decision])
        values = {"name": name, "decision": decision}
        raise ActionRefused(_("Somebody has already decided on this reply. %(name)s chose: %(decision)s.", **values))


def is_unassigned_start(message: InboundMessage, state: ConsentState) -> bool:
    """Return whether the reply is a START that still waits for an account."""
    start_id = state.unassigned_start_id
    return start_id is not None and ledger.inbound_message_of(start_id) == message


def _apply_decision(
    message: InboundMessage, decision: str, account_id: int | None, actor: Actor, now_ms: int
) -> dict[str, Any]:
    """Return what the audit log records about it; so does `_move`."""
    if decision == "stop" and is_e164(message.from_number):
        return {"ledger_event": _record_opt_out(message, actor, now_ms)}
    if decision == "moved" and account_id is not None and message.classification == ReplyCategory.START:
        if not is_unassigned_start(message, recording.consent_state_of(message.from_number)):
            raise ActionRefused(_("This START is no longer waiting for an account. See the number’s page."))
        return _move(message.from_number, account_id, actor, now_ms)
    if decision != "nothing":
        raise ActionRefused(_("This decision is not possible for this reply."))
    return {}


def _record_opt_out(message: InboundMessage, actor: Actor, now_ms: int) -> int:
    """Record the opt-out as of when the text was sent, so that a later START stands.

    The MessageSid goes into `detail`, because the ledger holds each `message_sid` only once.
    """
    number, sent_at_ms, text = message.from_number, message.order_at_ms, message.body[:_MAX_TEXT_LENGTH]
    columns = {"text": text, "detail": {"reply": message.provider_id}, **actor.ledger_columns}
    return recording.record(number, EventKind.STOP, EventSource.REPLY, sent_at_ms, now_ms, **columns)


def _move(number: str, account_id: int, actor: Actor, now_ms: int) -> dict[str, Any]:
    state = recording.consent_state_of(number)
    if account_id not in [phone.account_id for phone in phones_with(number)]:
        raise ActionRefused(_("The number is not on that account. Add it there first."))
    account = db.session.get_one(Account, account_id)
    recipient = db.session.get(Account, state.recipient_id or 0)
    require_permission(actor.account_id, account, *([recipient] if recipient else []))
    if not account.active:
        raise ActionRefused(_("That account is deactivated, so it gets no texts."))
    if not can_move_texts(state, account_id):
        raise ActionRefused(_move_refusal(state, account_id))
    columns = {"account_id": account_id, **actor.ledger_columns}
    event_id = recording.record(number, EventKind.MOVED, EventSource.MANUAL, now_ms, now_ms, **columns)
    consent_notifications.send_email(consent_notifications.ASSIGNED, account_id, number, event_id, now_ms)
    return {"to_account": account.external_id, "account_id": account_id, "ledger_event": event_id}


def _move_refusal(state: ConsentState, account_id: int) -> str:
    if state.stopped_at_ms is not None:
        return _("The number is opted out. Only a text with the word START from that phone turns texts on again.")
    if state.recipient_id == account_id:
        return _("That account already gets the number’s texts.")
    return _("The phone has not agreed to texts yet. Invite it, and wait for START.")


def _parse_number(typed: str, confirmed: str) -> tuple[str, dict[str, str], str]:
    """Return the number, its errors by field, and the number that a person would have to confirm.

    A number that is in the ledger or on an account is accepted, whatever the table of valid numbers says.
    """
    text = text_input.clean_code(typed)
    try:
        return to_e164(text, settings().region, confirmed), {}, ""
    except PhoneError as error:
        unconfirmed = getattr(error, "number", "")
        number = unconfirmed if isinstance(error, UnlistedNumber) else text
        is_in_use = is_e164(number) and (ledger.events_of(number) or phones_with(number))
        return (number, {}, "") if is_in_use else (text, {"number": str(error)}, unconfirmed)

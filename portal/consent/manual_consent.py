"""What an administrator may do about consent: opt a number out, move its texts, decide about a reply.

Nothing here clears a STOP: only START from the handset does (docs/consent-rules.md#only-start-reopens).
"""

from dataclasses import dataclass

from portal.accounts.tables.phone_numbers import phones_with
from portal.consent import consent_notifications, recording
from portal.consent.rules.consent_labels import OPT_OUT_CHANNELS
from portal.consent.rules.consent_state import ConsentState, EventKind, LedgerEvent, apply_event
from portal.consent.tables import ledger
from portal.consent.tables.inbound_messages import InboundMessage
from portal.core.actor import Actor
from portal.core.context import settings
from portal.core.errors import ActionRefused, invalid_input
from portal.core.extensions import db
from portal.core.rules import text_input
from portal.core.rules.phone import PhoneError, UnlistedNumber, is_e164, to_e164
from portal.core.transaction import transaction
from portal.gateways import queue

MAX_REASON_LENGTH = 1_000
_MAX_TEXT_LENGTH = 1_600


@dataclass(frozen=True)
class OptOut:
    """An opt-out by hand that will do: `number` in E.164, `how` one of `HOWS`, `reason` the evidence."""

    number: str
    channel: str
    reason: str


def check_opt_out(phone: str, channel: str, reason: str, confirmed_phone: str = "") -> OptOut:
    """Nothing is written. `confirmed_phone` is a number of which a person has said that its digits are right.

    Raises `Invalid`; fields `number`, `channel`, `reason`; and `Unconfirmed`.
    """
    number, errors, unsure = _parse_number(phone, confirmed_phone)
    reason = text_input.clean_lines(reason).strip()
    errors |= {} if channel in OPT_OUT_CHANNELS else {"channel": "Choose how the person asked for it."}
    errors |= _reason_error(reason)
    if errors:
        raise invalid_input(errors, unsure)
    return OptOut(number, channel, reason)


def opt_out(typed: str, how: str, reason: str, actor: Actor, now_ms: int, confirmed: str = "") -> str:
    """The number (E.164), silent from now on, for every account and whatever Twilio knows. Raises as the check does."""
    found = check_opt_out(typed, how, reason, confirmed)
    words = {"text": found.reason, "detail": {"channel": found.channel}}
    with transaction():
        recording.record(found.number, EventKind.STOP, "manual", now_ms, now_ms, **actor.ledger_columns, **words)
    queue.enqueue(settings().redis_url, "drain_sms")
    return found.number


def can_move_texts(now: ConsentState, account_id: int) -> bool:
    """Whether the number's texts can be given to the account by hand: the handset must have agreed to them."""
    moved = apply_event(now, LedgerEvent(0, EventKind.MOVED, 0, account_id))
    return now.recipient_id != account_id and moved.recipient_id == account_id


def move_texts(number: str, account_id: int, asker: Actor, now_ms: int) -> None:
    """The account gets the number's texts; whoever had them before loses them. Both are told. Raises `Refused`."""
    with transaction():
        ledger.lock_ledger()
        _move(number, account_id, asker, now_ms)
    queue.enqueue(settings().redis_url, "drain_email")


def decide_reply(message_id: int, decision: str, asker: Actor, now_ms: int, account_id: int | None = None) -> None:
    """`decision` is one of `consent_words.DECISIONS`; `account_id` is who gets the texts where they are moved.

    Raises `Refused`, also when somebody has decided already.
    """
    with transaction() as session:
        ledger.lock_ledger()
        message = session.get(InboundMessage, message_id, populate_existing=True)
        if message is None or not message.needs_review:
            raise ActionRefused("There is no such reply to decide about.")
        if message.decision:
            raise ActionRefused("Somebody has decided about this reply already.")
        _apply_decision(message, decision, account_id, asker, now_ms)
        message.decision, message.decided_by_id, message.decided_at_ms = decision, asker.account_id, now_ms
    for job in ("drain_sms", "drain_email") if decision != "nothing" else ():
        queue.enqueue(settings().redis_url, job)


def is_unassigned_start(message: InboundMessage, now: ConsentState) -> bool:
    """Whether the reply is a START that still waits for an account."""
    if message.classification != "start" or now.unassigned_start_id is None:
        return False
    event = db.session.get(ledger.ConsentEvent, now.unassigned_start_id)
    return event is not None and event.message_sid == message.provider_id


def _apply_decision(message: InboundMessage, decision: str, account_id: int | None, asker: Actor, now_ms: int) -> None:
    if decision == "stop" and is_e164(message.from_number):
        _record_opt_out(message, asker, now_ms)
    elif decision == "moved" and account_id is not None and message.classification == "start":
        if not is_unassigned_start(message, recording.consent_state_of(message.from_number)):
            raise ActionRefused("This START was settled meanwhile: look at the number's page.")
        _move(message.from_number, account_id, asker, now_ms)
    elif decision != "nothing":
        raise ActionRefused("That cannot be decided about this reply.")


def _record_opt_out(message: InboundMessage, asker: Actor, now_ms: int) -> None:
    """It counts from when it was said: a START after it stands. The MessageSid may be in the ledger once only."""
    recording.record(
        message.from_number,
        EventKind.STOP,
        "reply",
        message.order_at_ms,
        now_ms,
        **asker.ledger_columns,
        text=message.body[:_MAX_TEXT_LENGTH],
        detail={"reply": message.provider_id},
    )


def _move(number: str, account_id: int, asker: Actor, now_ms: int) -> None:
    now = recording.consent_state_of(number)
    if account_id not in [phone.account_id for phone in phones_with(number)]:
        raise ActionRefused("The number is not on that account. Add it there first.")
    if not can_move_texts(now, account_id):
        raise ActionRefused(_move_refusal(now, account_id))
    who = {"account_id": account_id, **asker.ledger_columns}
    event_id = recording.record(number, EventKind.MOVED, "manual", now_ms, now_ms, **who)
    consent_notifications.notify_assigned(account_id, number, event_id, now_ms)


def _move_refusal(now: ConsentState, account_id: int) -> str:
    if now.stopped_at_ms is not None:
        return "The number is opted out. Only a text with the word START from that phone turns texts on again."
    if now.recipient_id == account_id:
        return "That account gets the number's texts already."
    return "The phone has not agreed to texts yet: invite it, and wait for its START."


def _parse_number(typed: str, confirmed: str) -> tuple[str, dict[str, str], str]:
    """The number, what is wrong with it, and what it would be if it was confirmed.

    One that the ledger or an account knows is good as it stands, whatever the table of valid numbers says.
    """
    text = text_input.clean_code(typed)
    try:
        return to_e164(text, settings().region, confirmed), {}, ""
    except PhoneError as error:
        unsure = getattr(error, "number", "")
        number = unsure if isinstance(error, UnlistedNumber) else text
        known = is_e164(number) and (ledger.events_of(number) or phones_with(number))
        return (number, {}, "") if known else (text, {"number": str(error)}, unsure)


def _reason_error(reason: str) -> dict[str, str]:
    if not reason:
        return {"reason": "Write down what the person said or wrote. It is kept as the evidence."}
    if len(reason) > MAX_REASON_LENGTH:
        return {"reason": f"Keep it to {MAX_REASON_LENGTH:,} characters; this has {len(reason):,}."}
    return {}

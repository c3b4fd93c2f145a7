"""What an administrator may do about consent: opt a number out, move its texts, decide about a reply.

Nothing here clears a STOP: only START from the handset does (docs/consent-rules.md#only-start-reopens).
"""

from dataclasses import dataclass

from portal.actions import consent, follow_up
from portal.actions.asker import Asker
from portal.actions.errors import Refused, invalid
from portal.actions.transaction import transaction
from portal.context import settings
from portal.domain import text_input
from portal.domain.consent import Event, Kind, Standing, after
from portal.domain.consent_words import HOWS
from portal.domain.phone import PhoneError, UnknownNumber, is_e164, to_e164
from portal.extensions import db
from portal.gateways import queue
from portal.models import consent as ledger
from portal.models.inbound import InboundMessage
from portal.models.phone import carriers

LONGEST_REASON = 1_000
_LONGEST_WORDS = 1_600


@dataclass(frozen=True)
class OptOut:
    """An opt-out by hand that will do: `number` in E.164, `how` one of `HOWS`, `reason` the evidence."""

    number: str
    how: str
    reason: str


def check_opt_out(typed: str, how: str, reason: str, confirmed: str = "") -> OptOut:
    """Nothing is written. `confirmed` is a number of which a person has said that its digits are right.

    Raises `Invalid`; fields `number`, `how`, `reason`; and `Unconfirmed`.
    """
    number, errors, unsure = _number(typed, confirmed)
    reason = text_input.lines(reason).strip()
    errors |= {} if how in HOWS else {"how": "Choose how the person asked for it."}
    errors |= _reason_error(reason)
    if errors:
        raise invalid(errors, unsure)
    return OptOut(number, how, reason)


def opt_out(typed: str, how: str, reason: str, asker: Asker, now_ms: int, confirmed: str = "") -> str:
    """The number (E.164), silent from now on, for every account and whatever Twilio knows. Raises as the check does."""
    found = check_opt_out(typed, how, reason, confirmed)
    words = {"words": found.reason, "detail": {"how": found.how}}
    with transaction():
        consent.note(found.number, Kind.STOP, "manual", now_ms, now_ms, **asker.columns, **words)
    queue.ring(settings().redis_url, "drain_sms")
    return found.number


def may_move(now: Standing, account_id: int) -> bool:
    """Whether the number's texts can be given to the account by hand: the handset must have agreed to them."""
    moved = after(now, Event(0, Kind.MOVED, 0, account_id))
    return now.holder != account_id and moved.holder == account_id


def move_texts(number: str, account_id: int, asker: Asker, now_ms: int) -> None:
    """The account gets the number's texts; whoever had them before loses them. Both are told. Raises `Refused`."""
    with transaction():
        ledger.lock()
        _move(number, account_id, asker, now_ms)
    queue.ring(settings().redis_url, "drain_email")


def decide_reply(message_id: int, decision: str, asker: Asker, now_ms: int, account_id: int | None = None) -> None:
    """`decision` is one of `consent_words.DECISIONS`; `account_id` is who gets the texts where they are moved.

    Raises `Refused`, also when somebody has decided already.
    """
    with transaction() as session:
        ledger.lock()
        message = session.get(InboundMessage, message_id, populate_existing=True)
        if message is None or not message.asks:
            raise Refused("There is no such reply to decide about.")
        if message.decision:
            raise Refused("Somebody has decided about this reply already.")
        _follow(message, decision, account_id, asker, now_ms)
        message.decision, message.decided_by_id, message.decided_at_ms = decision, asker.account_id, now_ms
    for job in ("drain_sms", "drain_email") if decision != "nothing" else ():
        queue.ring(settings().redis_url, job)


def answers_start(message: InboundMessage, now: Standing) -> bool:
    """Whether the reply is a START that still waits for an account."""
    if message.reading != "start" or now.unanswered is None:
        return False
    event = db.session.get(ledger.ConsentEvent, now.unanswered)
    return event is not None and event.message_sid == message.provider_id


def _follow(message: InboundMessage, decision: str, account_id: int | None, asker: Asker, now_ms: int) -> None:
    if decision == "stop" and is_e164(message.sender):
        _stop(message, asker, now_ms)
    elif decision == "moved" and account_id is not None and message.reading == "start":
        if not answers_start(message, consent.standing_of(message.sender)):
            raise Refused("This START was settled meanwhile: look at the number's page.")
        _move(message.sender, account_id, asker, now_ms)
    elif decision != "nothing":
        raise Refused("That cannot be decided about this reply.")


def _stop(message: InboundMessage, asker: Asker, now_ms: int) -> None:
    """It counts from when it was said: a START after it stands. The MessageSid may be in the ledger once only."""
    consent.note(
        message.sender,
        Kind.STOP,
        "reply",
        message.order_at_ms,
        now_ms,
        **asker.columns,
        words=message.body[:_LONGEST_WORDS],
        detail={"reply": message.provider_id},
    )


def _move(number: str, account_id: int, asker: Asker, now_ms: int) -> None:
    now = consent.standing_of(number)
    if account_id not in [phone.account_id for phone in carriers(number)]:
        raise Refused("The number is not on that account. Add it there first.")
    if not may_move(now, account_id):
        raise Refused(_why_not(now, account_id))
    who = {"account_id": account_id, **asker.columns}
    event_id = consent.note(number, Kind.MOVED, "manual", now_ms, now_ms, **who)
    follow_up.tell_given(account_id, number, event_id, now_ms)


def _why_not(now: Standing, account_id: int) -> str:
    if now.stopped_ms is not None:
        return "The number is opted out. Only a text with the word START from that phone turns texts on again."
    if now.holder == account_id:
        return "That account gets the number's texts already."
    return "The phone has not agreed to texts yet: invite it, and wait for its START."


def _number(typed: str, confirmed: str) -> tuple[str, dict[str, str], str]:
    """The number, what is wrong with it, and what it would be if it was confirmed.

    One that the ledger or an account knows is good as it stands, whatever the table of valid numbers says.
    """
    text = text_input.code(typed)
    try:
        return to_e164(text, settings().region, confirmed), {}, ""
    except PhoneError as error:
        unsure = getattr(error, "number", "")
        number = unsure if isinstance(error, UnknownNumber) else text
        known = is_e164(number) and (ledger.story(number) or carriers(number))
        return (number, {}, "") if known else (text, {"number": str(error)}, unsure)


def _reason_error(reason: str) -> dict[str, str]:
    if not reason:
        return {"reason": "Write down what the person said or wrote. It is kept as the evidence."}
    if len(reason) > LONGEST_REASON:
        return {"reason": f"Keep it to {LONGEST_REASON:,} characters; this has {len(reason):,}."}
    return {}

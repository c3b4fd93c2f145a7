"""Texts from handsets: kept once by MessageSid, read, written to the ledger, and answered where Twilio does not.

STOP counts at once. A START that comes while a STOP has just been said waits until Twilio's list has told which of
them was sent first (`inbound_order`): webhooks carry no time of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from portal.actions import consent, content
from portal.actions import settings as app_settings
from portal.actions.transaction import transaction
from portal.actions.twilio_api import live_sender
from portal.context import settings
from portal.domain import answering, replies, text_input, wording
from portal.domain.app_config import SenderSettings
from portal.domain.consent import Kind
from portal.domain.phone import is_e164, without_channel
from portal.domain.replies import Reading
from portal.domain.routing import Mode
from portal.domain.twilio_account import type_by_number
from portal.extensions import db
from portal.gateways import queue
from portal.models import consent as ledger
from portal.models import inbound
from portal.models.gateway import Sender
from portal.models.inbound import InboundMessage
from portal.models.phone import is_stopped, keep_known
from portal.models.upsert import insert_one

CLOSE_MS = 120_000
"""Webhooks overtake each other by seconds; what was said longer ago than this was certainly said before."""
_KINDS = {"stop": Kind.STOP, "start": Kind.START, "help": Kind.HELP}
_ANSWERS = {"stop": wording.STOP_ANSWER, "help": wording.HELP_ANSWER}
_LONGEST_BODY = 1_600
_LONGEST_ID = 64
"""Characters of an id or a number: Twilio's have 34 and 16 at most, and an index takes no end of them."""


@dataclass(frozen=True)
class Inbound:
    """One text as a webhook or Twilio's list tells it. `at_ms` places it in time, `rank` among those of one moment."""

    provider_id: str
    sender: str
    recipient: str
    body: str
    heard: str
    at_ms: int
    rank: int = 0
    opt_out_type: str = ""
    service_sid: str = ""
    raw: Mapping[str, Any] | None = None


def take_inbound(form: Mapping[str, str], now_ms: int) -> str | None:
    """What to answer the handset, if anything. The same message again changes nothing and is answered nothing."""
    fields = {text_input.storable(key): text_input.storable(value) for key, value in form.items()}
    codes = {key: text_input.code(value) for key, value in fields.items() if key != "Body"}
    provider_id = (codes.get("MessageSid") or codes.get("SmsSid", ""))[:_LONGEST_ID]
    if not provider_id:
        return None
    heard = Inbound(
        provider_id=provider_id,
        sender=without_channel(codes.get("From", ""))[:_LONGEST_ID],
        recipient=codes.get("To", "")[:_LONGEST_ID],
        body=fields.get("Body", ""),
        heard="webhook",
        at_ms=now_ms,
        opt_out_type=codes.get("OptOutType", ""),
        service_sid=codes.get("MessagingServiceSid", ""),
        raw=fields,
    )
    with transaction():
        ledger.lock()
        stopped_already = is_stopped(heard.sender)
        message_id, reading, sure = take(heard, now_ms)
        answer = _answer(message_id, heard, reading, stopped_already) if message_id else None
    if message_id:
        queue.ring(settings().redis_url, "drain_sms")
    if message_id and not sure:
        queue.ring(settings().redis_url, "order_inbound", message_id)
    return answer


def take(heard: Inbound, now_ms: int) -> tuple[int | None, Reading, bool]:
    """Keep the text and write what it says to the ledger. Its id (None: known already), its reading, its sureness.

    Inside a transaction, under the ledger's lock: two texts of one handset are taken one after the other.
    """
    ledger.lock()
    reading = _read(heard)
    sure = heard.heard != "webhook" or not _is_close(heard, reading, now_ms)
    row = {
        "provider_id": heard.provider_id,
        "sender": heard.sender,
        "recipient": heard.recipient,
        "body": heard.body,
        "raw": dict(heard.raw or {}),
        "heard": heard.heard,
        "reading": reading.word,
        "exact": reading.exact,
        "received_at_ms": now_ms,
        "order_at_ms": heard.at_ms,
        "order_rank": heard.rank,
        "sure": sure,
        "asks": reading.word == "unclear",
    }
    if not insert_one(InboundMessage, row, ["provider_id"]):
        return None, reading, True
    message = db.session.query(InboundMessage).filter_by(provider_id=heard.provider_id).one()
    if reading.word in _KINDS and is_e164(heard.sender):
        _note(message, reading, now_ms)
    return message.id, reading, sure


def _note(message: InboundMessage, reading: Reading, now_ms: int) -> None:
    start = reading.word == "start"
    weak = start and _lifts_no_stop(message)
    detail = {"heard": message.heard, "to": message.recipient} | ({} if reading.exact else {"interpreted": True})
    who = consent.whom_start_would_give(message.sender, message.order_at_ms, weak) if start else None
    consent.note(
        message.sender,
        _KINDS[reading.word],
        "handset",
        message.order_at_ms,
        now_ms,
        account_id=who,
        words=message.body[:_LONGEST_BODY],
        message_sid=message.provider_id,
        detail=detail | ({"lifts_no_stop": True} if weak else {}),
    )
    if start:
        keep_known_number(message.sender)


def keep_known_number(sender: str) -> None:
    """The number of ours that the handset texted START to last, in the order of time. Inside a transaction.

    One that lifts no STOP changes nothing: at that number Twilio may still block its texts.
    """
    starts = [message for message in inbound.from_sender(sender) if message.reading == "start"]
    known = [message.recipient for message in starts if not _lifts_no_stop(message)]
    if known:
        keep_known(sender, known[-1])


def _read(heard: Inbound) -> Reading:
    reading = replies.read(heard.body, heard.opt_out_type)
    if not is_e164(heard.sender):
        return Reading("unclear")
    if reading.word == "start" and not _is_to_us(heard):
        return Reading("unclear")
    return reading


def _is_to_us(heard: Inbound) -> bool:
    """START counts at the number that sends, and at those that sent before."""
    sender = live_sender()
    ours = sender is not None and (heard.recipient in sender.numbers or _by_service(heard, sender))
    return ours or db.session.get(Sender, heard.recipient) is not None


def _by_service(heard: Inbound, sender: SenderSettings) -> bool:
    return bool(sender.messaging_service_sid) and heard.service_sid in ("", sender.messaging_service_sid)


def _lifts_no_stop(message: InboundMessage) -> bool:
    """YES clears no STOP if the number texted, or ours now, is toll-free (docs/consent-rules.md#toll-free-yes).

    Whether a STOP stands is not for this moment to say: one that was sent before may still be on its way.
    """
    if replies.keyword(message.body) != "yes":
        return False
    sender = live_sender()
    sends_toll_free = sender is not None and sender.number_type == "toll_free"
    return sends_toll_free or type_by_number(message.recipient) == "toll_free"


def _is_close(heard: Inbound, reading: Reading, now_ms: int) -> bool:
    """Whether a STOP, by whatever way, or a START came so recently that the other may have been sent first."""
    since_ms = now_ms - CLOSE_MS
    if reading.word == "start":
        return ledger.has_stop_since(heard.sender, since_ms)
    return reading.word == "stop" and inbound.has_word_since(heard.sender, ["start"], since_ms)


def _answer(message_id: int, heard: Inbound, reading: Reading, stopped_already: bool) -> str | None:
    """Our own words where Twilio has none. Twilio sends what it is answered as a text of ours, and lists it nowhere.

    What was answered, or why nothing was, is kept beside the message.
    """
    key = _ANSWERS.get(reading.word)
    if key is None or not is_e164(heard.sender):
        return None
    message = db.session.get_one(InboundMessage, message_id)
    message.no_answer = _why_no_answer(key, heard, reading, stopped_already, message.received_at_ms)
    if message.no_answer:
        return None
    answer = content.words_of(key, heard.sender)
    message.answer, message.answer_wording, message.answer_version = answer.text, answer.key, answer.version
    return answer.text


def _why_no_answer(key: str, heard: Inbound, reading: Reading, stopped_already: bool, now_ms: int) -> str:
    """Never under override or in test mode: an answer goes to a real phone. One text may follow a STOP, no second one.

    Under the ledger's lock, so two webhooks at one moment are not both answered.
    """
    found = app_settings.gateway()
    if found.switches.mode is not Mode.LIVE or found.sender is None:
        return answering.NOT_LIVE
    if replies.is_twilios(heard.body, heard.opt_out_type) and reading.word.upper() in found.sender.twilio_answers:
        return answering.BY_PROVIDER
    if reading.word == "stop" and stopped_already:
        return answering.STOPPED_ALREADY
    return answering.why_not_again(inbound.answered_at(heard.sender, key, now_ms - answering.A_DAY_MS), now_ms)

"""Texts from handsets: kept once by MessageSid, read, written to the ledger, and answered where Twilio does not.

STOP counts at once. A START that comes while a STOP has just been said waits until Twilio's list has told which of
them was sent first (`inbound_order`): webhooks carry no time of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from portal.accounts.tables.phone_numbers import is_stopped, set_preferred_sender
from portal.consent import recording
from portal.consent.rules import auto_reply_limits, keywords
from portal.consent.rules.consent_state import EventKind
from portal.consent.rules.keywords import Classification
from portal.consent.tables import inbound_messages, ledger
from portal.consent.tables.inbound_messages import InboundMessage
from portal.content import content_blocks
from portal.content.rules import content_block_checks
from portal.core.context import settings
from portal.core.extensions import db
from portal.core.rules import text_input
from portal.core.rules.phone import is_e164, strip_channel
from portal.core.rules.routing import Mode
from portal.core.statements import insert_if_missing
from portal.core.transaction import transaction
from portal.gateways import queue
from portal.gateways.rules.provider_schema import SenderSettings
from portal.gateways.rules.twilio_resources import infer_number_type
from portal.settings import app_settings
from portal.settings.live_gateway import live_sender
from portal.settings.tables.sending_numbers import SendingNumber

REORDER_WINDOW_MS = 120_000
"""Webhooks overtake each other by seconds; what was said longer ago than this was certainly said before."""
_EVENT_KINDS = {"stop": EventKind.STOP, "start": EventKind.START, "help": EventKind.HELP}
_REPLY_BLOCKS = {"stop": content_block_checks.STOP_REPLY, "help": content_block_checks.HELP_REPLY}
_MAX_BODY_LENGTH = 1_600
_MAX_ID_LENGTH = 64
"""Characters of an id or a number: Twilio's have 34 and 16 at most, and an index takes no end of them."""


@dataclass(frozen=True)
class InboundText:
    """One text as a webhook or Twilio's list tells it. `at_ms` places it in time, `rank` among those of one moment."""

    provider_id: str
    from_number: str
    to_number: str
    body: str
    source: str
    sent_at_ms: int
    order_rank: int = 0
    opt_out_type: str = ""
    service_sid: str = ""
    raw: Mapping[str, Any] | None = None


def receive_inbound(form: Mapping[str, str], now_ms: int) -> str | None:
    """What to answer the handset, if anything. The same message again changes nothing and is answered nothing."""
    fields = {text_input.clean_for_storage(key): text_input.clean_for_storage(value) for key, value in form.items()}
    codes = {key: text_input.clean_code(value) for key, value in fields.items() if key != "Body"}
    provider_id = (codes.get("MessageSid") or codes.get("SmsSid", ""))[:_MAX_ID_LENGTH]
    if not provider_id:
        return None
    heard = InboundText(
        provider_id=provider_id,
        from_number=strip_channel(codes.get("From", ""))[:_MAX_ID_LENGTH],
        to_number=codes.get("To", "")[:_MAX_ID_LENGTH],
        body=fields.get("Body", ""),
        source="webhook",
        sent_at_ms=now_ms,
        opt_out_type=codes.get("OptOutType", ""),
        service_sid=codes.get("MessagingServiceSid", ""),
        raw=fields,
    )
    with transaction():
        ledger.lock_ledger()
        stopped_already = is_stopped(heard.from_number)
        message_id, reading, sure = store_inbound(heard, now_ms)
        answer = _auto_reply(message_id, heard, reading, stopped_already) if message_id else None
    if message_id:
        queue.enqueue(settings().redis_url, "drain_sms")
    if message_id and not sure:
        queue.enqueue(settings().redis_url, "order_inbound", message_id)
    return answer


def store_inbound(heard: InboundText, now_ms: int) -> tuple[int | None, Classification, bool]:
    """Keep the text and write what it says to the ledger. Its id (None: known already), its reading, its sureness.

    Inside a transaction, under the ledger's lock: two texts of one handset are taken one after the other.
    """
    ledger.lock_ledger()
    reading = _classify(heard)
    sure = heard.source != "webhook" or not _order_is_uncertain(heard, reading, now_ms)
    row = {
        "provider_id": heard.provider_id,
        "from_number": heard.from_number,
        "to_number": heard.to_number,
        "body": heard.body,
        "raw": dict(heard.raw or {}),
        "source": heard.source,
        "classification": reading.category,
        "is_keyword": reading.is_keyword,
        "received_at_ms": now_ms,
        "order_at_ms": heard.sent_at_ms,
        "order_rank": heard.order_rank,
        "order_confirmed": sure,
        "needs_review": reading.category == "unclear",
    }
    if not insert_if_missing(InboundMessage, row, ["provider_id"]):
        return None, reading, True
    message = db.session.query(InboundMessage).filter_by(provider_id=heard.provider_id).one()
    if reading.category in _EVENT_KINDS and is_e164(heard.from_number):
        _record_event(message, reading, now_ms)
    return message.id, reading, sure


def _record_event(message: InboundMessage, reading: Classification, now_ms: int) -> None:
    start = reading.category == "start"
    weak = start and _cannot_clear_stop(message)
    detail = {"source": message.source, "to": message.to_number} | ({} if reading.is_keyword else {"interpreted": True})
    who = recording.recipient_for_start(message.from_number, message.order_at_ms, weak) if start else None
    recording.record(
        message.from_number,
        _EVENT_KINDS[reading.category],
        "handset",
        message.order_at_ms,
        now_ms,
        account_id=who,
        text=message.body[:_MAX_BODY_LENGTH],
        message_sid=message.provider_id,
        detail=detail | ({"cannot_clear_stop": True} if weak else {}),
    )
    if start:
        update_preferred_sender(message.from_number)


def update_preferred_sender(sender: str) -> None:
    """The number of ours that the handset texted START to last, in the order of time. Inside a transaction.

    One that lifts no STOP changes nothing: at that number Twilio may still block its texts.
    """
    starts = [message for message in inbound_messages.messages_from(sender) if message.classification == "start"]
    known = [message.to_number for message in starts if not _cannot_clear_stop(message)]
    if known:
        set_preferred_sender(sender, known[-1])


def _classify(heard: InboundText) -> Classification:
    reading = keywords.classify_reply(heard.body, heard.opt_out_type)
    if not is_e164(heard.from_number):
        return Classification("unclear")
    if reading.category == "start" and not _is_to_sending_number(heard):
        return Classification("unclear")
    return reading


def _is_to_sending_number(heard: InboundText) -> bool:
    """START counts at the number that sends, and at those that sent before."""
    sender = live_sender()
    ours = sender is not None and (heard.to_number in sender.from_numbers or _is_via_messaging_service(heard, sender))
    return ours or db.session.get(SendingNumber, heard.to_number) is not None


def _is_via_messaging_service(heard: InboundText, sender: SenderSettings) -> bool:
    return bool(sender.messaging_service_sid) and heard.service_sid in ("", sender.messaging_service_sid)


def _cannot_clear_stop(message: InboundMessage) -> bool:
    """YES clears no STOP if the number texted, or ours now, is toll-free (docs/consent-rules.md#toll-free-yes).

    Whether a STOP stands is not for this moment to say: one that was sent before may still be on its way.
    """
    if keywords.normalise_keyword(message.body) != "yes":
        return False
    sender = live_sender()
    sends_toll_free = sender is not None and sender.number_type == "toll_free"
    return sends_toll_free or infer_number_type(message.to_number) == "toll_free"


def _order_is_uncertain(heard: InboundText, reading: Classification, now_ms: int) -> bool:
    """Whether a STOP, by whatever way, or a START came so recently that the other may have been sent first."""
    since_ms = now_ms - REORDER_WINDOW_MS
    if reading.category == "start":
        return ledger.has_stop_since(heard.from_number, since_ms)
    return reading.category == "stop" and inbound_messages.has_category_since(heard.from_number, ["start"], since_ms)


def _auto_reply(message_id: int, heard: InboundText, reading: Classification, stopped_already: bool) -> str | None:
    """Our own words where Twilio has none. Twilio sends what it is answered as a text of ours, and lists it nowhere.

    What was answered, or why nothing was, is kept beside the message.
    """
    key = _REPLY_BLOCKS.get(reading.category)
    if key is None or not is_e164(heard.from_number):
        return None
    message = db.session.get_one(InboundMessage, message_id)
    message.no_reply_reason = _no_reply_reason(key, heard, reading, stopped_already, message.received_at_ms)
    if message.no_reply_reason:
        return None
    answer = content_blocks.render_block(key, heard.from_number)
    message.auto_reply, message.auto_reply_wording, message.auto_reply_wording_version = (
        answer.text,
        answer.key,
        answer.version,
    )
    return answer.text


def _no_reply_reason(key: str, heard: InboundText, reading: Classification, stopped_already: bool, now_ms: int) -> str:
    """Never under override or in test mode: an answer goes to a real phone. One text may follow a STOP, no second one.

    Under the ledger's lock, so two webhooks at one moment are not both answered.
    """
    found = app_settings.resolve_current_gateway()
    if found.switches.mode is not Mode.LIVE or found.sender is None:
        return auto_reply_limits.NOT_LIVE
    if (
        keywords.is_twilio_keyword(heard.body, heard.opt_out_type)
        and reading.category.upper() in found.sender.auto_replied_keywords
    ):
        return auto_reply_limits.SENT_BY_PROVIDER
    if reading.category == "stop" and stopped_already:
        return auto_reply_limits.STOPPED_ALREADY
    return auto_reply_limits.repeat_refusal(
        inbound_messages.auto_reply_times(heard.from_number, key, now_ms - auto_reply_limits.DAY_MS), now_ms
    )

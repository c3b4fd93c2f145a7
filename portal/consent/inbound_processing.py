"""Receive texts from handsets: store each once, classify it, write it to the ledger, and answer it if Twilio does not.

STOP counts at once. A START close to a STOP waits until Twilio's list shows which of them is older
(`inbound_sync`), because webhooks carry no time (docs/consent-rules.md#ordering).
"""

from collections.abc import Mapping
from typing import Any

from portal.accounts.tables.phone_numbers import is_stopped, set_preferred_sender
from portal.consent import recording
from portal.consent.consent_notifications import language_of_number
from portal.consent.rules import auto_reply_limits, keywords
from portal.consent.rules.consent_state import EventKind, EventSource, MessageSource
from portal.consent.rules.keywords import Classification, ReplyCategory
from portal.consent.tables import inbound_messages, ledger
from portal.consent.tables.inbound_messages import InboundMessage
from portal.content import content_blocks
from portal.content.rules.content_block_checks import HELP_REPLY, STOP_REPLY, localizations
from portal.core.context import settings
from portal.core.extensions import db
from portal.core.rules import text_input
from portal.core.rules.phone import is_e164, strip_channel
from portal.core.rules.routing import Mode
from portal.core.transaction import transaction
from portal.gateways import queue
from portal.gateways.rules.twilio_resources import infer_number_type
from portal.settings import app_settings
from portal.settings.live_gateway import live_sender
from portal.settings.tables.sending_numbers import SendingNumber

REORDER_WINDOW_MS = 120_000
"""Webhooks overtake each other only by seconds, so a text that arrived longer ago than this is certainly older."""
_RECORDED_CATEGORIES = (ReplyCategory.STOP, ReplyCategory.START, ReplyCategory.HELP)
_REPLY_BLOCKS: dict[str, str] = {ReplyCategory.STOP: STOP_REPLY, ReplyCategory.HELP: HELP_REPLY}
_MAX_BODY_LENGTH = 1_600
_MAX_ID_LENGTH = 64
"""Characters of an id or a phone number. Twilio's have 34 and 16 at most, and index keys have a size limit."""


def receive_inbound(form: Mapping[str, str], now_ms: int) -> str | None:
    """Store a webhook's text and return the answer, if any. The same message again changes nothing."""
    message = _parse_webhook(form, now_ms)
    if not message.provider_id:
        return None
    with transaction():
        ledger.lock_ledger()
        was_stopped = is_stopped(message.from_number)
        is_new = store_inbound(message, now_ms)
        answer = _auto_reply(message, was_stopped) if is_new else None
    if is_new:
        queue.enqueue(settings().redis_url, "drain_sms")
    return answer


def _parse_webhook(form: Mapping[str, str], now_ms: int) -> InboundMessage:
    fields = {text_input.clean_for_storage(key): text_input.clean_for_storage(value) for key, value in form.items()}
    codes = {key: text_input.clean_code(value) for key, value in fields.items() if key != "Body"}
    return InboundMessage(
        provider_id=(codes.get("MessageSid") or codes.get("SmsSid", ""))[:_MAX_ID_LENGTH],
        from_number=strip_channel(codes.get("From", ""))[:_MAX_ID_LENGTH],
        to_number=codes.get("To", "")[:_MAX_ID_LENGTH],
        body=fields.get("Body", ""),
        raw=fields,
        source=MessageSource.WEBHOOK,
        order_at_ms=now_ms,
    )


def store_inbound(message: InboundMessage, now_ms: int) -> bool:
    """Classify and store a new text and write it to the ledger; return False if it was stored before.

    Inside a transaction, under the ledger's lock, so that two texts of one handset are processed one after the other.
    """
    ledger.lock_ledger()
    if inbound_messages.is_stored(message.provider_id):
        return False
    classification = _classify(message)
    message.classification, message.is_keyword = classification.category, classification.is_keyword
    message.needs_review = message.classification == ReplyCategory.UNCLEAR
    message.order_confirmed = message.source != MessageSource.WEBHOOK or not _order_is_uncertain(message, now_ms)
    message.received_at_ms = now_ms
    db.session.add(message)
    db.session.flush()
    if message.classification in _RECORDED_CATEGORIES and is_e164(message.from_number):
        _record_event(message, now_ms)
    return True


def _record_event(message: InboundMessage, now_ms: int) -> None:
    number, at_ms, kind = message.from_number, message.order_at_ms, EventKind(message.classification)
    columns: dict[str, Any] = {"text": message.body[:_MAX_BODY_LENGTH], "message_sid": message.provider_id}
    detail: dict[str, Any] = {"source": message.source, "to": message.to_number}
    if not message.is_keyword:
        detail["interpreted"] = True
    if kind == EventKind.START:
        if cannot_clear_stop := _cannot_clear_stop(message):
            detail["cannot_clear_stop"] = True
        columns["account_id"] = recording.recipient_for_start(number, at_ms, cannot_clear_stop)
    recording.record(number, kind, EventSource.HANDSET, at_ms, now_ms, detail=detail, **columns)
    if kind == EventKind.START:
        update_preferred_sender(number)


def update_preferred_sender(from_number: str) -> None:
    """Set the sending number to which the handset texted START last, in order of time. Inside a transaction.

    A START that cannot clear a STOP changes nothing: Twilio may still block texts from that number.
    """
    messages = inbound_messages.messages_from(from_number)
    starts = [message for message in messages if message.classification == ReplyCategory.START]
    senders = [message.to_number for message in starts if not _cannot_clear_stop(message)]
    if senders:
        set_preferred_sender(from_number, senders[-1])


def _classify(message: InboundMessage) -> Classification:
    classification = keywords.classify_reply(message.body, _webhook_field(message, "OptOutType"))
    is_start = classification.category == ReplyCategory.START
    if not is_e164(message.from_number) or (is_start and not _is_to_sending_number(message)):
        return Classification(ReplyCategory.UNCLEAR)
    return classification


def _is_to_sending_number(message: InboundMessage) -> bool:
    """START counts at the number that sends, and at those that sent before (docs/consent-rules.md#start)."""
    sender = live_sender()
    service_sid = sender.messaging_service_sid if sender else ""
    is_via_service = bool(service_sid) and _webhook_field(message, "MessagingServiceSid") in ("", service_sid)
    is_current = is_via_service or (sender is not None and message.to_number in sender.from_numbers)
    return is_current or db.session.get(SendingNumber, message.to_number) is not None


def _webhook_field(message: InboundMessage, name: str) -> str:
    """A field that only the webhook has; empty for a text from the list."""
    return text_input.clean_code(message.raw.get(name, ""))


def _cannot_clear_stop(message: InboundMessage) -> bool:
    """YES clears no STOP if the number texted, or ours now, is toll-free (docs/consent-rules.md#toll-free-yes).

    Whether the number is stopped does not matter here: an older STOP may still be on its way.
    """
    if keywords.normalise_keyword(message.body) != "yes":
        return False
    sender = live_sender()
    sends_toll_free = sender is not None and sender.number_type == "toll_free"
    return sends_toll_free or infer_number_type(message.to_number) == "toll_free"


def _order_is_uncertain(message: InboundMessage, now_ms: int) -> bool:
    """Return whether a START or a STOP from any source came so recently that it may have been sent after this one."""
    number, since_ms = message.from_number, now_ms - REORDER_WINDOW_MS
    if message.classification == ReplyCategory.STOP:
        return inbound_messages.has_category_since(number, ReplyCategory.START, since_ms)
    return message.classification == ReplyCategory.START and ledger.has_stop_since(number, since_ms)


def _auto_reply(message: InboundMessage, was_stopped: bool) -> str | None:
    """Return the portal's answer, if Twilio has none. The message keeps the answer, or the reason for none.

    Twilio sends the answer as a text, and does not list it (docs/twilio.md#auto-replies).
    """
    block = _REPLY_BLOCKS.get(message.classification)
    if block is None or not is_e164(message.from_number):
        return None
    message.no_reply_reason = _no_reply_reason(block, message, was_stopped)
    if message.no_reply_reason:
        return None
    language = language_of_number(message.from_number, message.body)
    answer = content_blocks.render_block(block, message.from_number, language.code)
    message.auto_reply = answer.text
    message.auto_reply_content_block, message.auto_reply_content_block_version = answer.key, answer.version
    return answer.text


def _no_reply_reason(block: str, message: InboundMessage, was_stopped: bool) -> str:
    """Return why not to reply: unless live, since a reply goes to a real phone; and to STOP only once.

    Call under the ledger's lock, so that two simultaneous webhooks are not both answered.
    """
    gateway, now_ms = app_settings.resolve_current_gateway(), message.received_at_ms
    if gateway.switches.mode is not Mode.LIVE or gateway.sender is None:
        return auto_reply_limits.NOT_LIVE
    is_answered = message.classification.upper() in gateway.sender.auto_replied_keywords
    if is_answered and keywords.is_twilio_keyword(message.body, _webhook_field(message, "OptOutType")):
        return auto_reply_limits.SENT_BY_PROVIDER
    if message.classification == ReplyCategory.STOP and was_stopped:
        return auto_reply_limits.STOPPED_ALREADY
    keys, since_ms = [localized.key for localized in localizations(block)], now_ms - auto_reply_limits.DAY_MS
    reply_times_ms = inbound_messages.auto_reply_times(message.from_number, keys, since_ms)
    return auto_reply_limits.repeat_refusal(reply_times_ms, now_ms)

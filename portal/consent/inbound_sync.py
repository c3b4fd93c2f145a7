"""Read Twilio's list of inbound texts, to order texts that arrived close together and to find those without a webhook.

Webhooks can be lost (docs/twilio.md#webhook-retries), so this also finds a STOP that arrived during an outage.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import takewhile

from portal.consent import inbound_processing, recording
from portal.consent.rules import inbound_ordering
from portal.consent.rules.consent_state import MessageSource
from portal.consent.rules.keywords import ReplyCategory
from portal.consent.tables import inbound_messages, ledger
from portal.consent.tables.inbound_messages import InboundMessage
from portal.core.context import settings
from portal.core.coordination import SyncCursor, sync_cursor
from portal.core.extensions import db
from portal.core.rules.phone import strip_channel
from portal.core.statements import upsert
from portal.core.transaction import transaction
from portal.gateways import queue
from portal.gateways.provider import ProviderMessage, ProviderUnavailable
from portal.gateways.registry import sms_gateway
from portal.settings.app_settings import live_credentials
from portal.settings.live_gateway import live_sender, message_created_ms
from portal.settings.tables.sending_numbers import all_sending_numbers

_CURSOR_NAME = "inbound_messages"
_POLL_INTERVAL_MS = 60_000
_OVERLAP_MS = 600_000
_INITIAL_LOOKBACK_MS = 86_400_000
_LOOKBACK_MS = 600_000
_LIST_LAG_MS = 5_000
"""How long Twilio's list may lag. A text still missing then keeps its order of arrival until the list shows it."""
_BATCH_SIZE = 50


def resolve_uncertain_order(clock: Callable[[], int]) -> None:
    """Confirm the order of all texts that still need it. Raises `ProviderUnavailable`."""
    oldest_ms: dict[str, int] = {}
    for message in inbound_messages.messages_without_order(_BATCH_SIZE):
        oldest_ms.setdefault(message.from_number, message.received_at_ms)
    for from_number, received_ms in oldest_ms.items():
        _resolve_order_of(from_number, received_ms, clock)


def fetch_missed_inbound(clock: Callable[[], int]) -> None:
    """Read Twilio's list from the cursor onwards and store texts that had no webhook. Raises `ProviderUnavailable`."""
    now_ms = clock()
    read_to = sync_cursor(_CURSOR_NAME)
    credentials, own_numbers = live_credentials(), _own_numbers()
    db.session.rollback()
    if credentials is None or (read_to is not None and now_ms - read_to < _POLL_INTERVAL_MS):
        return
    since_ms = now_ms - _INITIAL_LOOKBACK_MS if read_to is None else read_to - _OVERLAP_MS
    gateway, by_sender = sms_gateway(), defaultdict(list)
    listed = [
        replace(message, from_number=strip_channel(message.from_number))
        for to_number in own_numbers
        for message in _since(gateway.inbound_messages(credentials, to_number=to_number), since_ms)
    ]
    for message in sorted(listed, key=message_created_ms, reverse=True):
        by_sender[message.from_number].append(message)
    for newest_first in by_sender.values():
        _merge(newest_first[::-1], clock())
    with transaction():
        upsert(SyncCursor, {"name": _CURSOR_NAME, "at_ms": now_ms}, ["name"])


def _resolve_order_of(from_number: str, oldest_ms: int, clock: Callable[[], int]) -> None:
    credentials = live_credentials()
    listed: list[ProviderMessage] = []
    db.session.rollback()
    try:
        if credentials:
            newest_first = sms_gateway().inbound_messages(credentials, from_number=from_number)
            listed = list(_since(newest_first, oldest_ms - _LOOKBACK_MS))[::-1]
    except ProviderUnavailable:
        _accept_arrival_order(from_number, clock() - round(settings().sms_unknown_seconds * 1000), clock())
        raise
    _merge(listed, clock())
    _accept_arrival_order(from_number, clock() - (_LIST_LAG_MS if credentials else 0), clock())


def _since(newest_first: Iterable[ProviderMessage], since_ms: int) -> Iterable[ProviderMessage]:
    return takewhile(lambda message: message_created_ms(message) >= since_ms, newest_first)


def _merge(listed: Sequence[ProviderMessage], now_ms: int) -> None:
    """Store the new texts of one handset, and put all of its texts in Twilio's order. `listed` is oldest first."""
    if not listed or _is_in_order(listed):
        return
    with transaction():
        ledger.lock_ledger()
        stored = _stored_messages(listed)
        webhook_times = [_webhook_ms(stored.get(message.provider_id)) for message in listed]
        sent_times = [message_created_ms(message) for message in listed]
        times = inbound_ordering.times_in_order(list(zip(sent_times, webhook_times, strict=True)), now_ms)
        positions = {message.provider_id: (times[rank], rank) for rank, message in enumerate(listed)}
        for id, message in stored.items():
            message.order_at_ms, message.order_rank = positions[id]
            message.order_confirmed = True
        for new in (message for message in listed if message.provider_id not in stored):
            inbound_processing.store_inbound(_to_inbound(new, *positions[new.provider_id]), now_ms)
        _recompute_sender(listed[0].from_number, now_ms)
    queue.enqueue(settings().redis_url, "drain_sms")


def _is_in_order(listed: Sequence[ProviderMessage]) -> bool:
    """Return whether the handset's texts are stored in the list's order and are all confirmed."""
    stored = _stored_messages(listed)
    is_complete = list(stored) == [message.provider_id for message in listed]
    in_order = is_complete and all(message.order_confirmed for message in stored.values())
    db.session.rollback()
    return in_order


def _stored_messages(listed: Sequence[ProviderMessage]) -> dict[str, InboundMessage]:
    """Map the ids of listed texts that are stored to them, in their order in time."""
    messages = inbound_messages.messages_with([message.provider_id for message in listed])
    return {message.provider_id: message for message in messages}


def _webhook_ms(message: InboundMessage | None) -> int | None:
    """When the text's webhook came; None if it has not, or the text was fetched from the list."""
    return message.received_at_ms if message is not None and message.source == MessageSource.WEBHOOK else None


def _to_inbound(message: ProviderMessage, at_ms: int, rank: int) -> InboundMessage:
    return InboundMessage(
        provider_id=message.provider_id,
        from_number=message.from_number,
        to_number=message.to,
        body=message.body,
        raw={},
        source=MessageSource.LIST,
        order_at_ms=at_ms,
        order_rank=rank,
    )


def _accept_arrival_order(from_number: str, received_until_ms: int, now_ms: int) -> None:
    with transaction():
        ledger.lock_ledger()
        unconfirmed = (text for text in inbound_messages.messages_from(from_number) if not text.order_confirmed)
        overdue = [text for text in unconfirmed if text.received_at_ms <= received_until_ms]
        for text in overdue:
            text.order_confirmed = True
        if overdue:
            _recompute_sender(from_number, now_ms)


def _recompute_sender(from_number: str, now_ms: int) -> None:
    """Recompute after a reordering: a different START may now need review. Keep decisions already made."""
    if from_number.startswith("+"):
        for message in inbound_messages.messages_from(from_number)[-_BATCH_SIZE:]:
            if message.classification == ReplyCategory.START and not message.decision:
                message.needs_review = False
        recording.recompute([from_number], now_ms)
        inbound_processing.update_preferred_sender(from_number)


def _own_numbers() -> list[str]:
    """The numbers that handsets text to: those that send, and those that sent before.

    Return [""], which stands for all numbers, if a messaging service is or was used: any of its numbers may get texts.
    """
    sender, sender_keys = live_sender(), all_sending_numbers()
    if sender is None or sender.messaging_service_sid or any(key.startswith("MG") for key in sender_keys):
        return [""]
    return sorted({*sender.from_numbers, *sender_keys})

"""Asking Twilio's list what handsets said and when: for texts that came close together, and for those never heard.

A webhook can be lost (docs/twilio.md#webhook-retries); this finds a STOP that arrived during an outage.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import structlog

from portal.consent import inbound_processing, recording
from portal.consent.inbound_processing import InboundText
from portal.consent.rules import inbound_ordering
from portal.consent.rules.inbound_ordering import OrderedMessage, ReceivedMessage
from portal.consent.tables import inbound_messages as messages
from portal.consent.tables import ledger
from portal.consent.tables.inbound_messages import InboundMessage
from portal.core.context import settings
from portal.core.extensions import db
from portal.core.process_tables import SyncCursor, sync_cursor
from portal.core.rules.phone import strip_channel
from portal.core.statements import upsert
from portal.core.transaction import transaction
from portal.gateways import queue
from portal.gateways.provider import ProviderMessage, ProviderUnavailable
from portal.gateways.rules.provider_schema import Credentials
from portal.gateways.sms_provider import sms_gateway
from portal.settings.live_gateway import live_credentials, live_sender, message_created_ms
from portal.settings.tables.sending_numbers import all_sending_numbers

_CURSOR_NAME = "inbound_messages"
_POLL_INTERVAL_MS = 60_000
_OVERLAP_MS = 600_000
_INITIAL_LOOKBACK_MS = 86_400_000
_LOOKBACK_MS = 600_000
_LIST_LAG_MS = 5_000
"""What Twilio's list does not show by then stands in time as it came; should it show later, it is put right then."""
_BATCH_SIZE = 50

_log = structlog.get_logger(__name__)


def resolve_inbound_order(message_id: int, clock: Callable[[], int]) -> None:
    """Settle the place in time of one text and of its neighbours. The sweep asks again when Twilio does not answer."""
    message = db.session.get(InboundMessage, message_id)
    sender = message.from_number if message is not None and not message.order_confirmed else ""
    db.session.rollback()
    try:
        if sender:
            _resolve_order_of(sender, clock)
    except ProviderUnavailable as error:
        _log.warning("inbound order lookup failed; the next maintenance run tries again", error=str(error))


def resolve_uncertain_order(clock: Callable[[], int]) -> None:
    """Everything whose place is still to be asked. Raises `NotAnswered`."""
    senders = dict.fromkeys(message.from_number for message in messages.messages_without_order(_BATCH_SIZE))
    db.session.rollback()
    for sender in senders:
        _resolve_order_of(sender, clock)


def fetch_missed_inbound(clock: Callable[[], int]) -> None:
    """Read Twilio's list on from the bookmark, and take what no webhook brought. Raises `NotAnswered`."""
    now_ms = clock()
    read_to = sync_cursor(_CURSOR_NAME)
    credentials, own_numbers = live_credentials(), _own_numbers()
    db.session.rollback()
    if credentials is None or (read_to is not None and now_ms - read_to < _POLL_INTERVAL_MS):
        return
    since_ms = now_ms - _INITIAL_LOOKBACK_MS if read_to is None else read_to - _OVERLAP_MS
    gateway, by_sender = sms_gateway(), defaultdict(list)
    received = [
        _normalise_sender(found)
        for to_number in own_numbers
        for found in _since(gateway.inbound_messages(credentials, to_number=to_number), since_ms)
    ]
    for found in sorted(received, key=message_created_ms, reverse=True):
        by_sender[found.from_number].append(found)
    for newest_first in by_sender.values():
        _merge(newest_first[::-1], clock())
    with transaction():
        upsert(SyncCursor, {"name": _CURSOR_NAME, "at_ms": now_ms}, ["name"])


def _resolve_order_of(sender: str, clock: Callable[[], int]) -> None:
    credentials = live_credentials()
    unsure = [message for message in messages.messages_from(sender) if not message.order_confirmed]
    oldest_ms = min((message.received_at_ms for message in unsure), default=clock())
    db.session.rollback()
    try:
        listed = _list_from(credentials, sender, oldest_ms - _LOOKBACK_MS) if credentials else []
    except ProviderUnavailable:
        _accept_arrival_order(sender, clock() - round(settings().sms_unknown_seconds * 1000), clock())
        raise
    _merge(listed, clock())
    _accept_arrival_order(sender, clock() - (_LIST_LAG_MS if credentials else 0), clock())


def _list_from(credentials: Credentials, sender: str, since_ms: int) -> list[ProviderMessage]:
    """Oldest first."""
    return list(_since(sms_gateway().inbound_messages(credentials, from_number=sender), since_ms))[::-1]


def _since(newest_first: Iterable[ProviderMessage], since_ms: int) -> Iterable[ProviderMessage]:
    for found in newest_first:
        if message_created_ms(found) < since_ms:
            return
        yield found


def _merge(listed: Sequence[ProviderMessage], now_ms: int) -> None:
    """Take what is new of one handset's texts, and put all of them in Twilio's order."""
    if not listed:
        return
    known = messages.known_messages([found.provider_id for found in listed])
    db.session.rollback()
    heard = [
        ReceivedMessage(found.provider_id, message_created_ms(found), known.get(found.provider_id) or None)
        for found in listed
    ]
    placed = {
        order_messages.provider_id: order_messages for order_messages in inbound_ordering.order_messages(heard, now_ms)
    }
    unknown = [found for found in listed if found.provider_id not in known]
    if not unknown and _is_in_order(listed):
        return
    with transaction():
        ledger.lock_ledger()
        for place in placed.values():
            messages.set_order(place.provider_id, place.at_ms, place.rank)
        for found in unknown:
            inbound_processing.store_inbound(_as_inbound(found, placed[found.provider_id]), now_ms)
        _recompute_sender(listed[0].from_number, now_ms)
    queue.enqueue(settings().redis_url, "drain_sms")


def _is_in_order(listed: Sequence[ProviderMessage]) -> bool:
    """Whether the handset's texts stand in the list's order already, beyond doubt."""
    ids = [found.provider_id for found in listed]
    stored = [message for message in messages.messages_from(listed[0].from_number) if message.provider_id in ids]
    stands = ids == [message.provider_id for message in stored] and all(message.order_confirmed for message in stored)
    db.session.rollback()
    return stands


def _accept_arrival_order(sender: str, received_before_ms: int, now_ms: int) -> None:
    """What nobody can tell the time of stands as it came."""
    with transaction():
        ledger.lock_ledger()
        old = [
            message
            for message in messages.messages_from(sender)
            if not message.order_confirmed and message.received_at_ms <= received_before_ms
        ]
        if old:
            messages.confirm_arrival_order([message.provider_id for message in old])
            _recompute_sender(sender, now_ms)


def _recompute_sender(sender: str, now_ms: int) -> None:
    """In another order another START may be the one to look at; what was decided about is left alone."""
    db.session.expire_all()
    if sender.startswith("+"):
        for message in messages.messages_from(sender)[-_BATCH_SIZE:]:
            if message.classification == "start" and not message.decision:
                message.needs_review = False
        recording.recompute(sender, now_ms)
        inbound_processing.update_preferred_sender(sender)


def _normalise_sender(found: ProviderMessage) -> ProviderMessage:
    return replace(found, from_number=strip_channel(found.from_number))


def _as_inbound(found: ProviderMessage, place: OrderedMessage) -> InboundText:
    return InboundText(found.provider_id, found.from_number, found.to, found.body, "list", place.at_ms, place.rank)


def _own_numbers() -> list[str]:
    """Where handsets answer to: the number that sends and those that sent before, whose STOPs Twilio keeps to itself.

    With a messaging service the texts come to any of its numbers, so all are looked through.
    """
    sender, before = live_sender(), all_sending_numbers()
    if sender is None or sender.messaging_service_sid or any(key.startswith("MG") for key in before):
        return [""]
    return sorted({*sender.from_numbers, *before})

"""Asking Twilio's list what handsets said and when: for texts that came close together, and for those never heard.

A webhook can be lost (docs/twilio.md#webhook-retries); this finds a STOP that arrived during an outage.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import structlog

from portal.actions import consent, inbound
from portal.actions.carriers import sms_gateway
from portal.actions.inbound import Inbound
from portal.actions.transaction import transaction
from portal.actions.twilio_api import created_ms, live_credentials, live_sender
from portal.context import settings
from portal.domain import ordering
from portal.domain.app_config import Credentials
from portal.domain.ordering import Heard, Placed
from portal.domain.phone import without_channel
from portal.extensions import db
from portal.gateways import queue
from portal.gateways.provider import Found, NotAnswered
from portal.models import consent as ledger
from portal.models import inbound as messages
from portal.models.gateway import Bookmark, bookmark, senders
from portal.models.inbound import InboundMessage
from portal.models.upsert import put

_BOOKMARK = "inbound texts"
_EVERY_MS = 60_000
_OVERLAP_MS = 600_000
_FIRST_LOOK_MS = 86_400_000
_LOOK_BACK_MS = 600_000
_NOT_LISTED_MS = 5_000
"""What Twilio's list does not show by then stands in time as it came; should it show later, it is put right then."""
_AT_ONCE = 50

_log = structlog.get_logger(__name__)


def order_inbound(message_id: int, clock: Callable[[], int]) -> None:
    """Settle the place in time of one text and of its neighbours. The sweep asks again when Twilio does not answer."""
    message = db.session.get(InboundMessage, message_id)
    sender = message.sender if message is not None and not message.sure else ""
    db.session.rollback()
    try:
        if sender:
            _order(sender, clock)
    except NotAnswered as error:
        _log.warning("Twilio could not be asked about the order of two texts; the sweep asks again", error=str(error))


def order_unsure(clock: Callable[[], int]) -> None:
    """Everything whose place is still to be asked. Raises `NotAnswered`."""
    senders = dict.fromkeys(message.sender for message in messages.unsure(_AT_ONCE))
    db.session.rollback()
    for sender in senders:
        _order(sender, clock)


def fetch_missed(clock: Callable[[], int]) -> None:
    """Read Twilio's list on from the bookmark, and take what no webhook brought. Raises `NotAnswered`."""
    now_ms = clock()
    read_to = bookmark(_BOOKMARK)
    credentials, own_numbers = live_credentials(), _own_numbers()
    db.session.rollback()
    if credentials is None or (read_to is not None and now_ms - read_to < _EVERY_MS):
        return
    since_ms = now_ms - _FIRST_LOOK_MS if read_to is None else read_to - _OVERLAP_MS
    gateway, by_sender = sms_gateway(), defaultdict(list)
    received = [_heard(found) for at in own_numbers for found in _until(gateway.received(credentials, at=at), since_ms)]
    for found in sorted(received, key=created_ms, reverse=True):
        by_sender[found.sender].append(found)
    for newest_first in by_sender.values():
        _merge(newest_first[::-1], clock())
    with transaction():
        put(Bookmark, {"name": _BOOKMARK, "at_ms": now_ms}, ["name"])


def _order(sender: str, clock: Callable[[], int]) -> None:
    credentials = live_credentials()
    unsure = [message for message in messages.from_sender(sender) if not message.sure]
    oldest_ms = min((message.received_at_ms for message in unsure), default=clock())
    db.session.rollback()
    try:
        listed = _listed(credentials, sender, oldest_ms - _LOOK_BACK_MS) if credentials else []
    except NotAnswered:
        _give_up(sender, clock() - round(settings().sms_settle_seconds * 1000), clock())
        raise
    _merge(listed, clock())
    _give_up(sender, clock() - (_NOT_LISTED_MS if credentials else 0), clock())


def _listed(credentials: Credentials, sender: str, since_ms: int) -> list[Found]:
    """Oldest first."""
    return list(_until(sms_gateway().received(credentials, sender=sender), since_ms))[::-1]


def _until(newest_first: Iterable[Found], since_ms: int) -> Iterable[Found]:
    for found in newest_first:
        if created_ms(found) < since_ms:
            return
        yield found


def _merge(listed: Sequence[Found], now_ms: int) -> None:
    """Take what is new of one handset's texts, and put all of them in Twilio's order."""
    if not listed:
        return
    known = messages.known_ids([found.provider_id for found in listed])
    db.session.rollback()
    heard = [Heard(found.provider_id, created_ms(found), known.get(found.provider_id) or None) for found in listed]
    placed = {place.provider_id: place for place in ordering.place(heard, now_ms)}
    unknown = [found for found in listed if found.provider_id not in known]
    if not unknown and _stands(listed):
        return
    with transaction():
        ledger.lock()
        for place in placed.values():
            messages.place(place.provider_id, place.at_ms, place.rank)
        for found in unknown:
            inbound.take(_as_inbound(found, placed[found.provider_id]), now_ms)
        _settle(listed[0].sender, now_ms)
    queue.ring(settings().redis_url, "drain_sms")


def _stands(listed: Sequence[Found]) -> bool:
    """Whether the handset's texts stand in the list's order already, beyond doubt."""
    ids = [found.provider_id for found in listed]
    stored = [message for message in messages.from_sender(listed[0].sender) if message.provider_id in ids]
    stands = ids == [message.provider_id for message in stored] and all(message.sure for message in stored)
    db.session.rollback()
    return stands


def _give_up(sender: str, received_before_ms: int, now_ms: int) -> None:
    """What nobody can tell the time of stands as it came."""
    with transaction():
        ledger.lock()
        old = [
            message
            for message in messages.from_sender(sender)
            if not message.sure and message.received_at_ms <= received_before_ms
        ]
        if old:
            messages.trust_order_received([message.provider_id for message in old])
            _settle(sender, now_ms)


def _settle(sender: str, now_ms: int) -> None:
    """In another order another START may be the one to look at; what was decided about is left alone."""
    db.session.expire_all()
    if sender.startswith("+"):
        for message in messages.from_sender(sender)[-_AT_ONCE:]:
            if message.reading == "start" and not message.decision:
                message.asks = False
        consent.settle(sender, now_ms)
        inbound.keep_known_number(sender)


def _heard(found: Found) -> Found:
    return replace(found, sender=without_channel(found.sender))


def _as_inbound(found: Found, place: Placed) -> Inbound:
    return Inbound(found.provider_id, found.sender, found.to, found.body, "list", place.at_ms, place.rank)


def _own_numbers() -> list[str]:
    """Where handsets answer to: the number that sends and those that sent before, whose STOPs Twilio keeps to itself.

    With a messaging service the texts come to any of its numbers, so all are looked through.
    """
    sender, before = live_sender(), senders()
    if sender is None or sender.messaging_service_sid or any(key.startswith("MG") for key in before):
        return [""]
    return sorted({*sender.numbers, *before})

"""Settling what is unknown by evidence, and asking for receipts that never came (RELIABILITY.md 2.3, 2.4).

A text whose outcome is unknown is looked for in Twilio's list by its link token. Found: accepted. Not found, and older
than the settle window: ready again. Not found and younger: looked for later. Never sent again just so.
"""

from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import structlog

from portal.actions import settings as app_settings
from portal.actions.receipts import advance_by_evidence, prove_acceptance
from portal.actions.sms_record import SIMULATED_MODES
from portal.actions.transaction import transaction
from portal.context import settings
from portal.domain.app_config import Credentials, gateway_from
from portal.extensions import db
from portal.gateways.twilio import Found, TwilioError, TwilioGateway
from portal.models import claims, doubts
from portal.models.communication import Delivery

_AT_ONCE = 50
_LOOK_AGAIN_MS = 15_000
_SKEW_MS = 60_000
_RECEIPT_LOOKS_MS = (600_000, 3_600_000, 86_400_000)
"""After 10 minutes, 1 hour, 24 hours (RELIABILITY.md 2.6)."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Doubt:
    """Plain values of one unknown text, so that no transaction is open while Twilio is asked."""

    delivery_id: int
    attempt_id: str
    mode: str
    sent_to: str
    body: str
    started_at_ms: int


def settle_unknown(clock: Callable[[], int]) -> None:
    _settle_mails(clock())
    credentials = _live_credentials()
    for doubt in _due_doubts(clock()):
        if doubt.mode in SIMULATED_MODES:
            _give_back(doubt, clock())
        elif credentials is not None:
            _look_for(doubt, credentials, clock())


def ask_for_receipts(clock: Callable[[], int]) -> None:
    """Fetch texts that were accepted and then not heard of."""
    credentials = _live_credentials()
    due = [(delivery.id, delivery.provider_id) for delivery in doubts.without_receipt(clock(), _AT_ONCE)]
    db.session.rollback()
    for delivery_id, provider_id in due:
        if credentials is not None and provider_id:
            _fetch(delivery_id, provider_id, credentials, clock())


def _settle_mails(now_ms: int) -> None:
    """Mail is sent at least once: in doubt it goes again, with the same Message-ID."""
    with transaction():
        for delivery in doubts.unknown("email", now_ms, _AT_ONCE):
            claims.settle(delivery.id, delivery.attempt_id or "", "ready", now_ms, next_at_ms=now_ms)


def _due_doubts(now_ms: int) -> list[Doubt]:
    found = [(delivery, doubts.attempt_of(delivery)) for delivery in doubts.unknown("sms", now_ms, _AT_ONCE)]
    due = [
        Doubt(delivery.id, attempt.id, attempt.mode, attempt.sent_to, delivery.body, attempt.slot_at_ms)
        for delivery, attempt in found
    ]
    db.session.rollback()
    return due


def _look_for(doubt: Doubt, credentials: Credentials, now_ms: int) -> None:
    try:
        hits = _hits(doubt, credentials)
    except TwilioError as error:
        _log.warning("could not look for a text of unknown outcome", attempt=doubt.attempt_id, error=str(error))
        _look_again(doubt, now_ms)
        return
    if hits:
        _found_it(doubt, hits[0], now_ms)
    elif now_ms - doubt.started_at_ms > settings().sms_settle_seconds * 1000:
        _give_back(doubt, now_ms)
    else:
        _look_again(doubt, now_ms)


def _hits(doubt: Doubt, credentials: Credentials) -> list[Found]:
    """Messages that are this attempt's, and no other attempt's: same words, made since it began."""
    hits: list[Found] = []
    for found in _gateway().sent_to(credentials, doubt.sent_to):
        if _created_ms(found) < doubt.started_at_ms - _SKEW_MS:
            break
        if found.direction != "inbound" and _token(doubt.body) in found.body:
            hits.append(found)
    taken = doubts.provider_ids_taken([hit.provider_id for hit in hits])
    db.session.rollback()
    return [hit for hit in hits if hit.provider_id not in taken]


def _found_it(doubt: Doubt, hit: Found, now_ms: int) -> None:
    with transaction():
        prove_acceptance(doubt.attempt_id, hit.provider_id, now_ms)
        delivery = db.session.get_one(Delivery, doubt.delivery_id)
        advance_by_evidence(delivery, hit.provider_id, hit.status, hit.error_code, now_ms)
        _next_receipt_look(delivery, now_ms)


def _give_back(doubt: Doubt, now_ms: int) -> None:
    with transaction():
        claims.settle(doubt.delivery_id, doubt.attempt_id, "ready", now_ms, next_at_ms=now_ms)
        claims.finish_attempt(doubt.attempt_id, "absent", now_ms)


def _look_again(doubt: Doubt, now_ms: int) -> None:
    wait_ms = min(_LOOK_AGAIN_MS, round(settings().sms_settle_seconds * 250))
    with transaction():
        claims.settle(doubt.delivery_id, doubt.attempt_id, "unknown", now_ms, next_at_ms=now_ms + wait_ms)


def _fetch(delivery_id: int, provider_id: str, credentials: Credentials, now_ms: int) -> None:
    try:
        found: Found | None = _gateway().fetch(credentials, provider_id)
    except TwilioError as error:
        _log.warning("could not ask for a receipt", delivery=delivery_id, error=str(error))
        found = None
    with transaction():
        delivery = db.session.get_one(Delivery, delivery_id)
        if found is not None:
            advance_by_evidence(delivery, provider_id, found.status, found.error_code, now_ms)
        _next_receipt_look(delivery, now_ms)


def _next_receipt_look(delivery: Delivery, now_ms: int) -> None:
    """The next of the three looks, counted from when the text was made; after the last one, never."""
    age_ms = now_ms - delivery.created_at_ms
    later = [delivery.created_at_ms + look for look in _RECEIPT_LOOKS_MS if look > age_ms]
    delivery.next_at_ms = later[0] if later else 2**53


def _live_credentials() -> Credentials | None:
    """Test credentials can neither list nor fetch (TWILIO.md 3)."""
    found = gateway_from({**app_settings.values(), "EnableSmsTestMode": False}).credentials
    db.session.rollback()
    return found


def _gateway() -> TwilioGateway:
    found = settings()
    return TwilioGateway(found.twilio_api_url, found.public_url, found.sms_timeout_seconds)


def _token(body: str) -> str:
    """The link's token: Twilio may change the words around it (smart encoding), never the link."""
    return body.rpartition("/c/")[2] or body


def _created_ms(found: Found) -> int:
    try:
        return round(parsedate_to_datetime(found.created).timestamp() * 1000)
    except (TypeError, ValueError):
        return 2**53

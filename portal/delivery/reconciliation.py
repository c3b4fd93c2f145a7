"""Resolve unknown outcomes by evidence, and fetch missing receipts (docs/reliability.md#unknown-outcomes).

A text in Twilio’s list was accepted. One that is still missing after the settle window is sent again, and never before.
"""

from collections.abc import Callable, Sequence
from typing import Any

from portal.core.context import settings
from portal.core.extensions import db
from portal.core.rules.delivery_status import NO_FURTHER_CHECK_MS, DeliveryState
from portal.core.rules.routing import SIMULATED_MODES
from portal.core.transaction import transaction
from portal.core.translation import N_
from portal.delivery.email_worker import BACKOFF_SECONDS, MAX_EMAIL_ATTEMPTS
from portal.delivery.receipts import apply_provider_status
from portal.delivery.rules.backoff import backoff_ms
from portal.gateways.provider import ProviderMessage, ProviderUnavailable
from portal.gateways.registry import sms_gateway
from portal.gateways.rules.provider_schema import Credentials
from portal.messages import conflicting_reports
from portal.messages.rules import sms_segments
from portal.messages.rules.attempt_outcome import AttemptOutcome
from portal.messages.tables import attempts, transitions, unresolved
from portal.messages.tables.communications import Attempt, Delivery
from portal.settings.app_settings import live_credentials
from portal.settings.live_gateway import message_created_ms

_BATCH_SIZE = 50
_RECHECK_DELAY_MS = 15_000
_FETCH_RETRY_MS = 120_000
_LOOK_BACK_MS = 6 * 3_600_000
"""How much older than its attempt a message may appear: the token identifies it; this only ends the paging."""
_LINKLESS_LOOK_BACK_MS = 30_000
"""An older text with the same words is a different one."""
_MAX_NOT_FOUND, _RETRY_WINDOW_MS = 20, 86_400_000
"""Expire a text that Twilio never received 20 times over at least a day: an outage of hours, or a weekend with a
paused lane, expires no text. Attempts that Twilio turned away do not count."""
_NOT_FOUND_BACKOFF_SECONDS = (0, 10, 60, 300, 900, 1_800)
"""By number of misses, so that other texts are tried meanwhile."""
_RECEIPT_CHECKS_MS = (600_000, 3_600_000, 86_400_000)
"""10 minutes, 1 hour and 24 hours after sending (docs/reliability.md#missing-receipts)."""

_BODY_HIDDEN = N_("Twilio hides the bodies of this account’s texts, so this one cannot be identified")


class _BodyHidden(Exception):
    """The list has a message that may be the one, but without its body."""


def reconcile_unknown_texts(clock: Callable[[], int]) -> None:
    """Raises `ProviderUnavailable` if Twilio does not answer: asking about the other texts would only waste time."""
    credentials = live_credentials()
    for attempt, body in _due_attempts(clock()):
        if attempt.mode in SIMULATED_MODES:
            _requeue_or_expire(attempt, clock())
        elif credentials is None or credentials.account_sid != attempt.account_sid:
            # another account’s list proves nothing: the text stays unknown, and visible
            _recheck_later(attempt, clock())
        else:
            _search_provider(attempt, body, credentials, clock)


def requeue_unknown_emails(now_ms: int) -> None:
    """Email is sent at least once: resend unknown ones with the same Message-ID, after a growing delay."""
    with transaction():
        for delivery in unresolved.due_unknown_deliveries("email", now_ms, _BATCH_SIZE):
            is_expired = delivery.attempt_count >= MAX_EMAIL_ATTEMPTS
            state = DeliveryState.EXPIRED if is_expired else DeliveryState.READY
            retry = {"due_at_ms": now_ms + backoff_ms(BACKOFF_SECONDS, delivery.attempt_count)}
            changes = {"reason": N_("The mail server never confirmed it")} if is_expired else retry
            transitions.complete(delivery.id, delivery.attempt_id or "", state, now_ms, **changes)


def fetch_missing_receipts(clock: Callable[[], int]) -> None:
    """Raises `ProviderUnavailable`. A check counts even if the account cannot be queried, or it would never end."""
    credentials = live_credentials()
    due = [
        (delivery.id, delivery.provider_id or "", unresolved.current_attempt(delivery).account_sid)
        for delivery in unresolved.deliveries_awaiting_receipt(clock(), _BATCH_SIZE)
    ]
    db.session.rollback()
    for delivery_id, provider_id, account_sid in due:
        if credentials is None or credentials.account_sid != account_sid:
            _record_receipt_check(delivery_id, None, clock())
        else:
            _fetch_status(delivery_id, provider_id, credentials, clock)


def _due_attempts(now_ms: int) -> list[tuple[Attempt, str]]:
    """Attempts with an unknown outcome and their texts; detached, so no transaction is open while Twilio is asked."""
    deliveries = unresolved.due_unknown_deliveries("sms", now_ms, _BATCH_SIZE)
    due = [(unresolved.current_attempt(delivery), delivery.body) for delivery in deliveries]
    for attempt, _ in due:
        db.session.expunge(attempt)
    db.session.rollback()
    return due


def _search_provider(attempt: Attempt, body: str, credentials: Credentials, clock: Callable[[], int]) -> None:
    try:
        matches = _matching_messages(attempt, body, credentials)
    except ProviderUnavailable:
        _recheck_later(attempt, clock())
        raise
    except _BodyHidden:
        _recheck_later(attempt, clock(), settle_windows=3, reason=_BODY_HIDDEN)
        return
    now_ms = clock()
    if matches:
        _record_matches(attempt, matches, now_ms)
    elif now_ms - attempt.last_seen_ms > settings().sms_unknown_seconds * 1000:
        _requeue_or_expire(attempt, now_ms)
    else:
        _recheck_later(attempt, now_ms)


def _matching_messages(attempt: Attempt, body: str, credentials: Credentials) -> list[ProviderMessage]:
    """Messages of this attempt alone: with the same link, and created since about its start.

    Raises `_BodyHidden` if there is none, but an unclaimed message has no body (docs/reliability.md#redacted-bodies).
    """
    matches, is_body_hidden = [], False
    since_ms = attempt.slot_at_ms - (_LOOK_BACK_MS if _token(body) else _LINKLESS_LOOK_BACK_MS)
    for message in sms_gateway().messages_to(credentials, attempt.destination):
        if message_created_ms(message) < since_ms:
            break
        is_same, has_no_body = _is_same_text(body, message.body), not message.body.strip()
        if message.direction == "inbound" or not (is_same or has_no_body) or _is_claimed_message(message.provider_id):
            continue
        if is_same:
            matches.append(message)
        is_body_hidden = is_body_hidden or has_no_body
    if is_body_hidden and not matches:
        raise _BodyHidden
    return matches if _token(body) else matches[:1]


def _is_claimed_message(provider_id: str) -> bool:
    is_claimed = unresolved.is_message_claimed(provider_id)
    db.session.rollback()
    return is_claimed


def _record_matches(attempt: Attempt, matches: Sequence[ProviderMessage], now_ms: int) -> None:
    """More than one match means that the recipient has the text twice: report it."""
    with transaction():
        delivery = db.session.get_one(Delivery, attempt.delivery_id)
        if len(matches) > 1:
            conflicting_reports.record_listed_duplicates(delivery, [message.provider_id for message in matches], now_ms)
        apply_provider_status(delivery, matches[0], now_ms, attempt.id)
        _schedule_next_check(delivery, attempt.slot_at_ms, now_ms)


def _requeue_or_expire(attempt: Attempt, now_ms: int) -> None:
    """The text certainly did not arrive: resend it, but not forever."""
    with transaction():
        misses, first_ms = unresolved.attempts_ended(attempt.delivery_id, AttemptOutcome.NOT_FOUND)
        is_expired = misses + 1 >= _MAX_NOT_FOUND and now_ms - first_ms > _RETRY_WINDOW_MS
        state = DeliveryState.EXPIRED if is_expired else DeliveryState.READY
        retry = {"due_at_ms": now_ms + backoff_ms(_NOT_FOUND_BACKOFF_SECONDS, misses + 1)}
        changes = {"reason": N_("Twilio never received it")} if is_expired else retry
        if transitions.complete(attempt.delivery_id, attempt.id, state, now_ms, **changes):
            attempts.finish_attempt(attempt.id, AttemptOutcome.NOT_FOUND, now_ms)


def _recheck_later(attempt: Attempt, now_ms: int, settle_windows: int = 0, **changes: Any) -> None:
    """Soon, while the list may merely lag; otherwise after that many settle windows."""
    settle_ms = round(settings().sms_unknown_seconds * 1000)
    changes["due_at_ms"] = now_ms + (settle_windows * settle_ms or min(_RECHECK_DELAY_MS, settle_ms // 4))
    with transaction():
        transitions.complete(attempt.delivery_id, attempt.id, DeliveryState.UNKNOWN, now_ms, **changes)


def _fetch_status(delivery_id: int, provider_id: str, credentials: Credentials, clock: Callable[[], int]) -> None:
    try:
        message = sms_gateway().get_message(credentials, provider_id)
    except ProviderUnavailable:
        _retry_fetch_later(delivery_id, clock())
        raise
    _record_receipt_check(delivery_id, message, clock())


def _retry_fetch_later(delivery_id: int, now_ms: int) -> None:
    """A check without an answer does not count, since it may be the last. After two days it does."""
    with transaction():
        delivery = db.session.get_one(Delivery, delivery_id)
        age_ms = now_ms - unresolved.current_attempt(delivery).slot_at_ms
        is_too_old = age_ms > 2 * _RECEIPT_CHECKS_MS[-1]
        delivery.due_at_ms = NO_FURTHER_CHECK_MS if is_too_old else now_ms + _FETCH_RETRY_MS


def _record_receipt_check(delivery_id: int, message: ProviderMessage | None, now_ms: int) -> None:
    with transaction():
        delivery = db.session.get_one(Delivery, delivery_id)
        if message is not None:
            apply_provider_status(delivery, message, now_ms)
        _schedule_next_check(delivery, unresolved.current_attempt(delivery).slot_at_ms, now_ms)


def _schedule_next_check(delivery: Delivery, sent_at_ms: int, now_ms: int) -> None:
    """The next of the three checks, counted from when the text was sent; after the last one, never."""
    checks = [sent_at_ms + after_ms for after_ms in _RECEIPT_CHECKS_MS if after_ms > now_ms - sent_at_ms]
    delivery.due_at_ms = checks[0] if checks else NO_FURTHER_CHECK_MS


def _is_same_text(ours: str, listed: str) -> bool:
    """Compare the link’s token, which smart encoding never changes.

    Without a link, compare the normalized words: only one such text is in flight at a time (`sms_claim`).
    """
    token = _token(ours)
    return token in listed if token else sms_segments.normalize_text(ours) == sms_segments.normalize_text(listed)


def _token(body: str) -> str:
    """Empty for a text without a link."""
    return body.rpartition("/c/")[2].partition(" ")[0] if "/c/" in body else ""

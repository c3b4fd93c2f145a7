"""Resolve unknown outcomes by evidence, and fetch missing receipts (docs/reliability.md#unknown-outcomes).

A text with an unknown outcome is searched for in Twilio’s list by its link token. If it is found, it was accepted. If
not, it is searched for again until the settle window has passed, and is then ready again. It is never resent without
evidence.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from portal.core.context import settings
from portal.core.extensions import db
from portal.core.rules.delivery_status import NO_FURTHER_CHECK_MS, DeliveryState
from portal.core.rules.routing import SIMULATED_MODES
from portal.core.transaction import transaction
from portal.delivery.email_worker import MAX_EMAIL_ATTEMPTS, email_backoff_ms
from portal.delivery.receipts import apply_provider_status
from portal.gateways.provider import ProviderMessage, ProviderUnavailable
from portal.gateways.registry import sms_gateway
from portal.gateways.rules.provider_schema import Credentials
from portal.messages import conflicting_reports
from portal.messages.rules import sms_segments
from portal.messages.rules.attempt_outcome import AttemptOutcome
from portal.messages.tables import transitions, unresolved
from portal.messages.tables.communications import Delivery
from portal.settings.app_settings import live_credentials
from portal.settings.live_gateway import message_created_ms

_BATCH_SIZE = 50
_RECHECK_DELAY_MS = 15_000
_FETCH_RETRY_MS = 120_000
_LOOK_BACK_MS = 6 * 3_600_000
"""How much older than its attempt a message may appear: the token decides, this only ends the paging."""
_LINKLESS_LOOK_BACK_MS = 30_000
"""Words alone are weaker evidence: an older text with the same words was a different one."""
_MAX_NOT_FOUND, _RETRY_WINDOW_MS = 20, 86_400_000
"""Expire a text that Twilio never received 20 times over at least a day: an outage of hours, or a weekend with a
paused lane, expires no text. Attempts that Twilio turned away do not count."""
_NOT_FOUND_BACKOFF_SECONDS = (0, 10, 60, 300, 900, 1_800)
"""By number of misses, so that other texts are tried meanwhile."""
_RECEIPT_CHECKS_MS = (600_000, 3_600_000, 86_400_000)
"""10 minutes, 1 hour and 24 hours after sending (docs/reliability.md#missing-receipts)."""

_BODY_HIDDEN = "Twilio hides the bodies of this account’s texts, so this one cannot be identified"


class _BodyHidden(Exception):
    """The list has a message that may be the one, but without its body."""


@dataclass(frozen=True)
class UnresolvedAttempt:
    """Plain values of one unknown text, so that no transaction is open while Twilio is asked.

    `last_seen_ms` is when the attempt was last known to be in flight: the settle window starts there.
    """

    delivery_id: int
    attempt_id: str
    mode: str
    account_sid: str
    destination: str
    body: str
    started_at_ms: int
    last_seen_ms: int


def reconcile_unknown_texts(clock: Callable[[], int]) -> None:
    """Raises `ProviderUnavailable` if Twilio does not answer: asking about the others would only take longer."""
    credentials = live_credentials()
    for attempt in _due_unresolved(clock()):
        if attempt.mode in SIMULATED_MODES:
            _requeue_or_expire(attempt, clock())
        elif credentials is None or credentials.account_sid != attempt.account_sid:
            # another account’s list proves nothing: the text stays unknown, and visible
            _recheck_later(attempt, clock())
        else:
            _search_provider(attempt, credentials, clock)


def requeue_unknown_emails(now_ms: int) -> None:
    """Email is sent at least once: resend unknown ones with the same Message-ID, after a growing delay."""
    with transaction():
        for delivery in unresolved.due_unknown_deliveries("email", now_ms, _BATCH_SIZE):
            attempt_id = delivery.attempt_id or ""
            if delivery.attempt_count >= MAX_EMAIL_ATTEMPTS:
                reason = "The mail server never confirmed it"
                transitions.complete_attempt(delivery.id, attempt_id, DeliveryState.EXPIRED, now_ms, reason=reason)
            else:
                due_at_ms = now_ms + email_backoff_ms(delivery.attempt_count)
                transitions.complete_attempt(delivery.id, attempt_id, DeliveryState.READY, now_ms, due_at_ms=due_at_ms)


def fetch_missing_receipts(clock: Callable[[], int]) -> None:
    """Fetch the status of accepted texts without a receipt. Raises `ProviderUnavailable`.

    If the account cannot be asked, the check passes anyway, or the text would seem to be in flight for ever.
    """
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


def _due_unresolved(now_ms: int) -> list[UnresolvedAttempt]:
    pairs = [
        (delivery, unresolved.current_attempt(delivery))
        for delivery in unresolved.due_unknown_deliveries("sms", now_ms, _BATCH_SIZE)
    ]
    due = [
        UnresolvedAttempt(
            delivery_id=delivery.id,
            attempt_id=attempt.id,
            mode=attempt.mode,
            account_sid=attempt.account_sid,
            destination=attempt.destination,
            body=delivery.body,
            started_at_ms=attempt.slot_at_ms,
            last_seen_ms=attempt.finished_at_ms or attempt.lease_until_ms,
        )
        for delivery, attempt in pairs
    ]
    db.session.rollback()
    return due


def _search_provider(attempt: UnresolvedAttempt, credentials: Credentials, clock: Callable[[], int]) -> None:
    try:
        matches = _matching_messages(attempt, credentials)
    except ProviderUnavailable:
        _recheck_later(attempt, clock())
        raise
    except _BodyHidden:
        _recheck_later(attempt, clock(), settle_windows=3, reason=_BODY_HIDDEN)
        return
    now_ms = clock()
    if matches:
        _record_found(attempt, matches, now_ms)
    elif now_ms - attempt.last_seen_ms > settings().sms_unknown_seconds * 1000:
        _requeue_or_expire(attempt, now_ms)
    else:
        _recheck_later(attempt, now_ms)


def _matching_messages(attempt: UnresolvedAttempt, credentials: Credentials) -> list[ProviderMessage]:
    """Messages of this attempt alone: with the same link, and created since about its start.

    Raises `_BodyHidden` if there is none, but an unclaimed message has no body (docs/reliability.md#redacted-bodies).
    """
    matches, is_body_hidden = [], False
    for message in sms_gateway().messages_to(credentials, attempt.destination):
        if message_created_ms(message) < attempt.started_at_ms - _look_back_ms(attempt.body):
            break
        is_same, has_no_body = _is_same_text(attempt.body, message.body), not message.body.strip()
        if message.direction == "inbound" or not (is_same or has_no_body) or _is_claimed_message(message.provider_id):
            continue
        if is_same:
            matches.append(message)
        is_body_hidden = is_body_hidden or has_no_body
    if is_body_hidden and not matches:
        raise _BodyHidden
    return matches if _token(attempt.body) else matches[:1]


def _is_claimed_message(provider_id: str) -> bool:
    is_claimed = unresolved.is_message_claimed(provider_id)
    db.session.rollback()
    return is_claimed


def _record_found(attempt: UnresolvedAttempt, matches: Sequence[ProviderMessage], now_ms: int) -> None:
    """More than one match means that the recipient has the text twice: report it."""
    with transaction():
        delivery = db.session.get_one(Delivery, attempt.delivery_id)
        if len(matches) > 1:
            conflicting_reports.record_listed_duplicates(delivery, [message.provider_id for message in matches], now_ms)
        apply_provider_status(delivery, matches[0], now_ms, accepted_attempt_id=attempt.attempt_id)
        _schedule_next_check(delivery, attempt.started_at_ms, now_ms)


def _requeue_or_expire(attempt: UnresolvedAttempt, now_ms: int) -> None:
    """The text certainly did not arrive: resend it, but not for ever."""
    with transaction():
        misses, first_ms = unresolved.not_found_attempts(attempt.delivery_id)
        is_expired = misses + 1 >= _MAX_NOT_FOUND and now_ms - first_ms > _RETRY_WINDOW_MS
        state = DeliveryState.EXPIRED if is_expired else DeliveryState.READY
        wait_seconds = _NOT_FOUND_BACKOFF_SECONDS[min(misses, len(_NOT_FOUND_BACKOFF_SECONDS) - 1)]
        retry = {"due_at_ms": now_ms + wait_seconds * 1000}
        changes = {"reason": "Twilio never received it"} if is_expired else retry
        if transitions.complete_attempt(attempt.delivery_id, attempt.attempt_id, state, now_ms, **changes):
            transitions.finish_attempt(attempt.attempt_id, AttemptOutcome.NOT_FOUND, now_ms)


def _recheck_later(attempt: UnresolvedAttempt, now_ms: int, settle_windows: int = 0, **changes: str) -> None:
    """Soon, while the list may merely lag; otherwise after that many settle windows."""
    settle_ms = round(settings().sms_unknown_seconds * 1000)
    next_ms = now_ms + (settle_windows * settle_ms or min(_RECHECK_DELAY_MS, settle_ms // 4))
    with transaction():
        transitions.complete_attempt(
            attempt.delivery_id, attempt.attempt_id, DeliveryState.UNKNOWN, now_ms, due_at_ms=next_ms, **changes
        )


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
        if now_ms - unresolved.current_attempt(delivery).slot_at_ms > 2 * _RECEIPT_CHECKS_MS[-1]:
            delivery.due_at_ms = NO_FURTHER_CHECK_MS
        else:
            delivery.due_at_ms = now_ms + _FETCH_RETRY_MS


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
    """Compare the link’s token: smart encoding may change the words around it, but never the link.

    A text without a link is compared by all its normalized words; only one such text is in flight at a time
    (`sms_claim`).
    """
    token = _token(ours)
    return token in listed if token else sms_segments.normalize_text(ours) == sms_segments.normalize_text(listed)


def _look_back_ms(body: str) -> int:
    return _LOOK_BACK_MS if _token(body) else _LINKLESS_LOOK_BACK_MS


def _token(body: str) -> str:
    """Empty for a text without a link."""
    return body.rpartition("/c/")[2] if "/c/" in body else ""

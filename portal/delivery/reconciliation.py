"""Resolve unknown outcomes by evidence and fetch missing receipts (docs/reliability.md#unknown-outcomes).

A text whose outcome is unknown is looked for in Twilio's list by its link token. Found: accepted. Not found, and older
than the settle window: ready again. Not found and younger: looked for later. Never sent again just so.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from portal.core.context import settings
from portal.core.extensions import db
from portal.core.rules.delivery_status import NO_FURTHER_CHECK_MS
from portal.core.rules.routing import SIMULATED_MODES
from portal.core.transaction import transaction
from portal.delivery.email_worker import MAX_EMAIL_ATTEMPTS, email_backoff_ms
from portal.delivery.receipts import apply_provider_status
from portal.gateways.provider import ProviderMessage, ProviderUnavailable
from portal.gateways.rules.provider_schema import Credentials
from portal.gateways.sms_provider import sms_gateway
from portal.messages import conflicting_reports
from portal.messages.rules import sms_segments
from portal.messages.tables import transitions, unresolved
from portal.messages.tables.communications import Delivery
from portal.settings.live_gateway import live_credentials, message_created_ms

_BATCH_SIZE = 50
_RECHECK_DELAY_MS = 15_000
_FETCH_RETRY_MS = 120_000
_LOOK_BACK_MS = 6 * 3_600_000
"""How much older than its attempt a message may seem: the token decides, this only ends the reading of pages."""
_LINKLESS_LOOK_BACK_MS = 30_000
"""The words alone decide less: an older text of the same words was another one."""
_MAX_NOT_FOUND, _RETRY_WINDOW_MS = 20, 86_400_000
"""So often, and for a day, a text may vanish without a trace before it is given up: hours in which Twilio takes nothing
in cost nobody their text, also after a weekend on which the lane stood still. What it turned away is not among it."""
_NOT_FOUND_BACKOFF_SECONDS = (0, 10, 60, 300, 900, 1_800)
"""After so many absences; meanwhile others are tried, and not the same few again and again."""
_RECEIPT_CHECKS_MS = (600_000, 3_600_000, 86_400_000)
"""10 minutes, 1 hour and 24 hours after sending (docs/reliability.md#missing-receipts)."""

_BODY_HIDDEN = "Twilio keeps the words of this account's texts to itself, so this one cannot be told from another"


class _BodyHidden(Exception):
    """The list shows a message that may be the one, without its words."""


@dataclass(frozen=True)
class UnresolvedAttempt:
    """Plain values of one unknown text, so that no transaction is open while Twilio is asked.

    `last_seen_ms` is when the attempt was last known to be under way: the settle window counts from there.
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
    """Raises `NotAnswered` when Twilio does not answer: asking for the others would only wait longer."""
    credentials = live_credentials()
    for doubt in _due_unresolved(clock()):
        if doubt.mode in SIMULATED_MODES:
            _requeue_or_expire(doubt, clock())
        elif credentials is None or credentials.account_sid != doubt.account_sid:
            # another account's list proves nothing: it stays unknown, and visible
            _recheck_later(doubt, clock())
        else:
            _search_provider(doubt, credentials, clock)


def requeue_unknown_emails(now_ms: int) -> None:
    """Mail is sent at least once: in doubt it goes again, later each time, with the same Message-ID."""
    with transaction():
        for delivery in unresolved.due_unknown_deliveries("email", now_ms, _BATCH_SIZE):
            known: dict[str, Any] = {
                "delivery_id": delivery.id,
                "attempt_id": delivery.attempt_id or "",
                "now_ms": now_ms,
            }
            if delivery.attempt_count >= MAX_EMAIL_ATTEMPTS:
                transitions.complete_attempt(to="expired", reason="The mail server never confirmed it", **known)
            else:
                transitions.complete_attempt(
                    to="ready", due_at_ms=now_ms + email_backoff_ms(delivery.attempt_count), **known
                )


def fetch_missing_receipts(clock: Callable[[], int]) -> None:
    """Fetch texts that were accepted and then not heard of. Raises `NotAnswered`.

    Where nobody can be asked the look passes all the same, or the text would seem to be under way for ever.
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
    found = [
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
        for delivery, attempt in found
    ]
    db.session.rollback()
    return due


def _search_provider(doubt: UnresolvedAttempt, credentials: Credentials, clock: Callable[[], int]) -> None:
    try:
        hits = _matching_messages(doubt, credentials)
    except ProviderUnavailable:
        _recheck_later(doubt, clock())
        raise
    except _BodyHidden:
        _recheck_later(doubt, clock(), settle_windows=3, reason=_BODY_HIDDEN)
        return
    now_ms = clock()
    if hits:
        _record_found(doubt, hits, now_ms)
    elif now_ms - doubt.last_seen_ms > settings().sms_unknown_seconds * 1000:
        _requeue_or_expire(doubt, now_ms)
    else:
        _recheck_later(doubt, now_ms)


def _matching_messages(doubt: UnresolvedAttempt, credentials: Credentials) -> list[ProviderMessage]:
    """The messages that are this attempt's and no other attempt's: the same link, made since about when it began.

    Raises `_Wordless` if none is but an unclaimed message has no body (docs/reliability.md#redacted-bodies).
    """
    hits, wordless = [], False
    for found in sms_gateway().messages_to(credentials, doubt.destination):
        if message_created_ms(found) < doubt.started_at_ms - _look_back_ms(doubt.body):
            break
        same, bare = _is_same_text(doubt.body, found.body), not found.body.strip()
        if found.direction == "inbound" or not (same or bare) or _is_claimed_message(found.provider_id):
            continue
        if same:
            hits.append(found)
        wordless = wordless or bare
    if wordless and not hits:
        raise _BodyHidden
    return hits if _token(doubt.body) else hits[:1]


def _is_claimed_message(provider_id: str) -> bool:
    taken = unresolved.is_message_claimed(provider_id)
    db.session.rollback()
    return taken


def _record_found(doubt: UnresolvedAttempt, hits: Sequence[ProviderMessage], now_ms: int) -> None:
    """More than one is more than should be: whatever made it, somebody has the same text twice, and it must show."""
    hit = hits[0]
    with transaction():
        delivery = db.session.get_one(Delivery, doubt.delivery_id)
        if len(hits) > 1:
            conflicting_reports.record_listed_duplicates(delivery, [found.provider_id for found in hits], now_ms)
        apply_provider_status(delivery, hit, now_ms, accepted_attempt_id=doubt.attempt_id)
        _schedule_next_check(delivery, doubt.started_at_ms, now_ms)


def _requeue_or_expire(doubt: UnresolvedAttempt, now_ms: int) -> None:
    """It certainly did not arrive: again, but not for ever."""
    with transaction():
        times, first_ms = unresolved.not_found_attempts(doubt.delivery_id)
        given_up = times + 1 >= _MAX_NOT_FOUND and now_ms - first_ms > _RETRY_WINDOW_MS
        wait_seconds = _NOT_FOUND_BACKOFF_SECONDS[min(times, len(_NOT_FOUND_BACKOFF_SECONDS) - 1)]
        again = {"due_at_ms": now_ms + wait_seconds * 1000}
        changes = {"reason": "It never arrived at Twilio"} if given_up else again
        if transitions.complete_attempt(
            doubt.delivery_id, doubt.attempt_id, "expired" if given_up else "ready", now_ms, **changes
        ):
            transitions.finish_attempt(doubt.attempt_id, "not_found", now_ms)


def _recheck_later(doubt: UnresolvedAttempt, now_ms: int, settle_windows: int = 0, **changes: str) -> None:
    """Soon, as long as the list may only be late; else after so many settle windows."""
    settle_ms = round(settings().sms_unknown_seconds * 1000)
    next_ms = now_ms + (settle_windows * settle_ms or min(_RECHECK_DELAY_MS, settle_ms // 4))
    with transaction():
        transitions.complete_attempt(
            doubt.delivery_id, doubt.attempt_id, "unknown", now_ms, due_at_ms=next_ms, **changes
        )


def _fetch_status(delivery_id: int, provider_id: str, credentials: Credentials, clock: Callable[[], int]) -> None:
    try:
        found = sms_gateway().get_message(credentials, provider_id)
    except ProviderUnavailable:
        _retry_fetch_later(delivery_id, clock())
        raise
    _record_receipt_check(delivery_id, found, clock())


def _retry_fetch_later(delivery_id: int, now_ms: int) -> None:
    """No answer is no look: the last one may be all that a text is heard of again. For two days, then it passes."""
    with transaction():
        delivery = db.session.get_one(Delivery, delivery_id)
        if now_ms - unresolved.current_attempt(delivery).slot_at_ms > 2 * _RECEIPT_CHECKS_MS[-1]:
            delivery.due_at_ms = NO_FURTHER_CHECK_MS
        else:
            delivery.due_at_ms = now_ms + _FETCH_RETRY_MS


def _record_receipt_check(delivery_id: int, found: ProviderMessage | None, now_ms: int) -> None:
    with transaction():
        delivery = db.session.get_one(Delivery, delivery_id)
        if found is not None:
            apply_provider_status(delivery, found, now_ms)
        _schedule_next_check(delivery, unresolved.current_attempt(delivery).slot_at_ms, now_ms)


def _schedule_next_check(delivery: Delivery, sent_at_ms: int, now_ms: int) -> None:
    """The next of the three looks, counted from when the text was sent; after the last one, never."""
    later = [sent_at_ms + look for look in _RECEIPT_CHECKS_MS if look > now_ms - sent_at_ms]
    delivery.due_at_ms = later[0] if later else NO_FURTHER_CHECK_MS


def _is_same_text(ours: str, listed: str) -> bool:
    """By the link's token: Twilio may change the words around it (smart encoding), never the link.

    A text without a link is known by all of its words, made plain; only one of a kind is out at a time (`sms_claim`).
    """
    token = _token(ours)
    return token in listed if token else sms_segments.normalize_text(ours) == sms_segments.normalize_text(listed)


def _look_back_ms(body: str) -> int:
    return _LOOK_BACK_MS if _token(body) else _LINKLESS_LOOK_BACK_MS


def _token(body: str) -> str:
    """Empty for a text without a link."""
    return body.rpartition("/c/")[2] if "/c/" in body else ""

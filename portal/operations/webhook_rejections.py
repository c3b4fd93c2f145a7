"""Calls to a webhook that are refused for their signature: counted, logged, and told where it matters.

Anybody can make such calls by the million, so they cost little: counters and no rows. What comes faster than a few a
second is not looked into for the address it may have gone to, and is counted in memory until the next one that is. A
call that names nothing of ours alarms nobody; the alarm of the others ends with the next call that is believed
(`operations.rules.rejection_reasons`).
"""

import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from threading import Lock

import structlog
from flask import current_app

from portal.core.context import settings
from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.gateways.rules.webhook_signature import WebhookCall
from portal.messages.tables import unresolved
from portal.messages.tables.communications import Attempt
from portal.operations.rules.rejection_reasons import (
    OwnIdentifiers,
    RejectedCalls,
    RejectionCause,
    WebhookRejection,
    candidate_urls,
    classify_rejection,
)
from portal.operations.tables import rejected_webhooks as rejected_webhook
from portal.settings import app_settings
from portal.settings.tables.setting_values import stored_settings

_EXTENSION_KEY = "refused webhooks"
_MAX_WRITES, _WINDOW_SECONDS, _LOG_SECONDS = 20, 10.0, 60.0
_log = structlog.get_logger(__name__)


class _RejectionCounter:
    """Of this process: what is counted and not written down yet. Used from many threads at once."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: Counter[tuple[str, WebhookRejection]] = Counter()
        self._written: deque[float] = deque(maxlen=_MAX_WRITES)
        self._logged: dict[tuple[str, WebhookRejection], float] = {}

    def may_examine(self) -> bool:
        """Whether one more may be looked into and written down; it then counts as one that was."""
        now = time.monotonic()
        with self._lock:
            full = len(self._written) == self._written.maxlen
            if full and now - self._written[0] < _WINDOW_SECONDS:
                return False
            self._written.append(now)
            return True

    def add(self, door: str, refusal: WebhookRejection) -> None:
        with self._lock:
            self._waiting[(door, refusal)] += 1

    def take_counts(self) -> Counter[tuple[str, WebhookRejection]]:
        with self._lock:
            taken, self._waiting = self._waiting, Counter()
            return taken

    def may_log(self, door: str, refusal: WebhookRejection) -> bool:
        now, key = time.monotonic(), (door, WebhookRejection(refusal.cause, refusal.names_us))
        with self._lock:
            if now - self._logged.get(key, -_LOG_SECONDS) < _LOG_SECONDS:
                return False
            self._logged[key] = now
            return True


def record_rejection(
    door: str, call: WebhookCall, params: Mapping[str, str], headers: Mapping[str, str], now_ms: int
) -> None:
    """Count a call and tell the log why it was refused, but no word of what it `params`, its fields and query."""
    tally = _counter()
    has_room = tally.may_examine()
    addresses = candidate_urls(call, settings().public_url, headers) if has_room else ()
    refusal = _classify(call, params, addresses, has_room and _names_our_attempt(params))
    db.session.rollback()
    tally.add(door, refusal)
    if tally.may_log(door, refusal):
        words = "webhook rejected: invalid signature"
        _log.warning(words, webhook=door, likely=refusal.cause.value, names_us=refusal.names_us, called=refusal.detail)
    if has_room:
        _flush_counts(now_ms)


def open_rejections(now_ms: int) -> list[RejectedCalls]:
    """Those that somebody should look into."""
    return [one for one in _load_rejections(only_ours=True) if one.needs_attention(now_ms)]


def all_rejections(now_ms: int) -> list[RejectedCalls]:
    """All that were ever refused, counted by webhook and cause."""
    _flush_counts(now_ms)
    return _load_rejections()


def _load_rejections(only_ours: bool = False) -> list[RejectedCalls]:
    rows = rejected_webhook.all_rejected(only_ours)
    if not rows:
        return []
    stored = stored_settings("SmsGatewayAuthentication").get("SmsGatewayAuthentication")
    believed = {door: rejected_webhook.last_verified_ms(door) for door in {row.webhook for row in rows}}
    return [
        RejectedCalls(
            endpoint=row.webhook,
            refusal=WebhookRejection(RejectionCause(row.cause), row.identifies_us, row.address),
            call_count=row.request_count,
            last_ms=row.last_seen_at_ms,
            last_accepted_ms=believed[row.webhook],
            credentials_changed_ms=stored.changed_at_ms if stored else 0,
        )
        for row in rows
    ]


def _classify(
    call: WebhookCall, params: Mapping[str, str], addresses: Sequence[str], is_known: bool
) -> WebhookRejection:
    live = app_settings.live_gateway()
    sid, tokens = (live.credentials.account_sid, live.credentials.signing_tokens) if live.credentials else ("", ())
    numbers = (*live.sender.from_numbers, live.sender.messaging_service_sid) if live.sender else ()
    ours = OwnIdentifiers(sid, frozenset(filter(None, numbers)))
    return classify_rejection(call, tokens, is_known or ours.appear_in(params), params, ours, addresses)


def _names_our_attempt(params: Mapping[str, str]) -> bool:
    """Whether it names an attempt of ours, or Twilio's id of a message that it took from us."""
    attempt_id, message_id = params.get("attempt", ""), params.get("MessageSid", "")
    if "\x00" in attempt_id + message_id:
        return False
    is_attempt = bool(attempt_id) and db.session.get(Attempt, attempt_id) is not None
    return is_attempt or (bool(message_id) and unresolved.is_message_claimed(message_id))


def _flush_counts(now_ms: int) -> None:
    taken = _counter().take_counts()
    if not taken:
        return
    with transaction():
        for (door, refusal), calls in sorted(taken.items(), key=lambda item: (item[0][0], item[0][1].cause)):
            rejected_webhook.count_rejected(door, refusal.cause, refusal.names_us, refusal.detail, calls, now_ms)


def _counter() -> _RejectionCounter:
    found: _RejectionCounter = current_app.extensions.setdefault(_EXTENSION_KEY, _RejectionCounter())
    return found

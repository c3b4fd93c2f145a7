"""Count and log webhook calls that are rejected for their signature.

Anybody can make millions of such calls, so each costs little: counters instead of rows, and a limit on how many are
examined and written. The others are counted in memory until the next one that is written. Only calls that name
something of ours alarm anybody, and the alarm ends with the next accepted call (`operations.rules.rejection_reasons`).
"""

import time
from collections import Counter
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
from portal.operations.rules import rejection_reasons
from portal.operations.rules.rejection_reasons import RejectedCalls, RejectionCause, WebhookRejection
from portal.operations.tables import rejected_webhooks
from portal.operations.write_limit import WriteLimit
from portal.settings import app_settings
from portal.settings.tables.setting_values import stored_settings

_EXTENSION_KEY = "rejected webhooks"
_MAX_WRITES, _WINDOW_SECONDS, _LOG_INTERVAL_SECONDS = 20, 10.0, 60.0
_log = structlog.get_logger(__name__)


class _RejectionCounter:
    """The rejections of this process that are not written yet. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: Counter[tuple[str, WebhookRejection]] = Counter()
        self._limit = WriteLimit(_MAX_WRITES, _WINDOW_SECONDS)
        self._logged: dict[tuple[str, RejectionCause, bool], float] = {}

    def may_examine(self) -> bool:
        """Whether one more call may be examined and written; if so, it counts towards the limit."""
        return self._limit.may_write()

    def add(self, webhook: str, rejection: WebhookRejection) -> None:
        with self._lock:
            self._counts[webhook, rejection] += 1

    def take_counts(self) -> Counter[tuple[str, WebhookRejection]]:
        with self._lock:
            counts, self._counts = self._counts, Counter()
            return counts

    def may_log(self, webhook: str, rejection: WebhookRejection) -> bool:
        now, key = time.monotonic(), (webhook, rejection.cause, rejection.names_us)
        with self._lock:
            if now - self._logged.get(key, -_LOG_INTERVAL_SECONDS) < _LOG_INTERVAL_SECONDS:
                return False
            self._logged[key] = now
            return True


def record_rejection(
    webhook: str, call: WebhookCall, params: Mapping[str, str], headers: Mapping[str, str], now_ms: int
) -> None:
    """Count the call and log the likely cause, but nothing of its `params`, the fields of its form and query."""
    counter = _counter()
    may_examine = counter.may_examine()
    urls = rejection_reasons.candidate_urls(call, settings().public_url, headers) if may_examine else ()
    rejection = _classify(call, params, urls, may_examine and _names_our_attempt(params))
    db.session.rollback()
    counter.add(webhook, rejection)
    if counter.may_log(webhook, rejection):
        cause, names_us, called = rejection.cause.value, rejection.names_us, rejection.detail
        fields = {"webhook": webhook, "likely": cause, "names_us": names_us, "called": called}
        _log.warning("webhook rejected: invalid signature", **fields)
    if may_examine:
        _write_counts(now_ms)


def open_rejections(now_ms: int) -> list[RejectedCalls]:
    """Those that need attention."""
    return [calls for calls in _load_rejections() if calls.needs_attention(now_ms)]


def all_rejections(now_ms: int) -> list[RejectedCalls]:
    _write_counts(now_ms)
    return _load_rejections()


def _load_rejections() -> list[RejectedCalls]:
    rows = rejected_webhooks.all_rejected()
    if not rows:
        return []
    credentials = stored_settings("SmsGatewayAuthentication").get("SmsGatewayAuthentication")
    accepted_ms = {webhook: rejected_webhooks.last_verified_ms(webhook) for webhook in {row.webhook for row in rows}}
    return [
        RejectedCalls(
            endpoint=row.webhook,
            rejection=WebhookRejection(RejectionCause(row.cause), row.identifies_us, row.address),
            call_count=row.request_count,
            last_ms=row.last_seen_at_ms,
            last_accepted_ms=accepted_ms[row.webhook],
            credentials_changed_ms=credentials.changed_at_ms if credentials else 0,
        )
        for row in rows
    ]


def _classify(call: WebhookCall, params: Mapping[str, str], urls: Sequence[str], names_us: bool) -> WebhookRejection:
    live = app_settings.live_gateway()
    sid, tokens = (live.credentials.account_sid, live.credentials.signing_tokens) if live.credentials else ("", ())
    senders = (*live.sender.from_numbers, live.sender.messaging_service_sid) if live.sender else ()
    names_us = names_us or rejection_reasons.identifies_us(params, sid, senders)
    return rejection_reasons.classify_rejection(call, tokens, names_us, params.get("AccountSid") or sid, sid, urls)


def _names_our_attempt(params: Mapping[str, str]) -> bool:
    """Whether the call names one of our attempts, or Twilio's id of a message of ours."""
    attempt_id, message_id = params.get("attempt", ""), params.get("MessageSid", "")
    if "\x00" in attempt_id + message_id:
        return False
    is_attempt = bool(attempt_id) and db.session.get(Attempt, attempt_id) is not None
    return is_attempt or (bool(message_id) and unresolved.is_message_claimed(message_id))


def _write_counts(now_ms: int) -> None:
    counts = _counter().take_counts()
    if not counts:
        return
    with transaction():
        for (webhook, rejection), count in sorted(counts.items(), key=lambda item: (item[0][0], item[0][1].cause)):
            rejected_webhooks.count_rejected(webhook, rejection, count, now_ms)


def _counter() -> _RejectionCounter:
    counter: _RejectionCounter = current_app.extensions.setdefault(_EXTENSION_KEY, _RejectionCounter())
    return counter

"""Compare each day’s texts with Twilio’s list, in both directions (docs/reliability.md#daily-reconciliation)."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import islice

import structlog

from portal.core import audit_log
from portal.core.coordination import SyncCursor, sync_cursor
from portal.core.extensions import db
from portal.core.statements import upsert
from portal.core.transaction import transaction
from portal.delivery.receipts import charges_of
from portal.gateways.provider import ProviderMessage
from portal.gateways.registry import sms_gateway
from portal.gateways.rules.provider_schema import Credentials
from portal.messages.tables import attempts, unresolved
from portal.settings.app_settings import live_credentials

_CURSOR_NAME = "daily_reconciliation"
_DAY_MS = 86_400_000
_SETTLE_DELAY_MS = 3_600_000
"""Compare a day one hour after it ends, when texts in flight have been resolved."""
_MAX_LISTED_IDS = 20
_CHARGES_PER_COMMIT = 500

_log = structlog.get_logger(__name__)


def reconcile_yesterday(clock: Callable[[], int]) -> None:
    """Compare the last full day; missed days are not caught up. Raises `ProviderUnavailable`."""
    day_ms = (clock() - _SETTLE_DELAY_MS) // _DAY_MS * _DAY_MS - _DAY_MS
    last_compared_ms, credentials = sync_cursor(_CURSOR_NAME), live_credentials()
    db.session.rollback()
    if credentials is None or (last_compared_ms is not None and last_compared_ms >= day_ms):
        return
    if last_compared_ms is not None:
        _compare_with_provider(credentials, day_ms, clock())
    with transaction():
        upsert(SyncCursor, {"name": _CURSOR_NAME, "at_ms": day_ms}, ["name"])


def _compare_with_provider(credentials: Credentials, day_ms: int, now_ms: int) -> None:
    end_ms, sid = day_ms + _DAY_MS, credentials.account_sid
    since, until = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (day_ms, end_ms))
    messages = sms_gateway().messages_between(credentials, since, until)
    listed = _record_listed(message for message in messages if message.direction == "outbound-api")
    recorded = unresolved.accepted_ids(sid, day_ms - _SETTLE_DELAY_MS, end_ms + _SETTLE_DELAY_MS)
    expected = unresolved.accepted_ids(sid, day_ms + _SETTLE_DELAY_MS, end_ms - _SETTLE_DELAY_MS)
    db.session.rollback()
    foreign, missing = sorted(listed - recorded), sorted(expected - listed)
    day = since.date().isoformat()
    detail = {"listed": len(listed), "not_ours": len(foreign), "not_listed": len(missing)}
    examples = {"not_ours_ids": foreign[:_MAX_LISTED_IDS], "not_listed_ids": missing[:_MAX_LISTED_IDS]}
    with transaction():
        audit_log.record_audit_entry("texts_reconciled", day, None, now_ms, **detail, **examples)
    if foreign or missing:
        _log.warning("daily reconciliation found differences", day=day, **detail)


def _record_listed(messages: Iterable[ProviderMessage]) -> set[str]:
    """Store what each text costs, and return their ids. No transaction is open while Twilio is asked."""
    listed: set[str] = set()
    remaining = iter(messages)
    while batch := list(islice(remaining, _CHARGES_PER_COMMIT)):
        with transaction():
            attempts.record_charges(charges_of(batch))
        listed.update(message.provider_id for message in batch)
    return listed

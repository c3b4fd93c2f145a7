"""Compare each day's texts with Twilio's list, in both directions (docs/reliability.md#daily-reconciliation)."""

from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from portal.core import audit_log
from portal.core.extensions import db
from portal.core.process_tables import SyncCursor, sync_cursor
from portal.core.statements import upsert
from portal.core.transaction import transaction
from portal.gateways.rules.provider_schema import Credentials
from portal.gateways.sms_provider import sms_gateway
from portal.messages.tables import unresolved
from portal.settings.live_gateway import live_credentials

_BOOKMARK = "daily_reconciliation"
_DAY_MS = 86_400_000
_SETTLE_DELAY_MS = 3_600_000
"""The day is looked at an hour after its end, when what was under way has been settled."""
_MAX_LISTED_IDS = 20

_log = structlog.get_logger(__name__)


def reconcile_yesterday(clock: Callable[[], int]) -> None:
    """Whatever was missed while nothing ran is not made up for: only the last whole day is compared.

    Raises `NotAnswered`; then the next turn begins anew.
    """
    day_ms = (clock() - _SETTLE_DELAY_MS) // _DAY_MS * _DAY_MS - _DAY_MS
    done_ms, credentials = sync_cursor(_BOOKMARK), live_credentials()
    db.session.rollback()
    if credentials is None or (done_ms is not None and done_ms >= day_ms):
        return
    if done_ms is not None:
        _compare_with_provider(credentials, day_ms, clock())
    with transaction():
        upsert(SyncCursor, {"name": _BOOKMARK, "at_ms": day_ms}, ["name"])


def _compare_with_provider(credentials: Credentials, day_ms: int, now_ms: int) -> None:
    since, until = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (day_ms, day_ms + _DAY_MS))
    found = sms_gateway().messages_between(credentials, since, until)
    listed = {message.provider_id for message in found if message.direction == "outbound-api"}
    ours = unresolved.accepted_ids(
        credentials.account_sid, day_ms - _SETTLE_DELAY_MS, day_ms + _DAY_MS + _SETTLE_DELAY_MS
    )
    handed_in = unresolved.accepted_ids(
        credentials.account_sid, day_ms + _SETTLE_DELAY_MS, day_ms + _DAY_MS - _SETTLE_DELAY_MS
    )
    db.session.rollback()
    foreign, missing = sorted(listed - ours), sorted(handed_in - listed)
    day = since.date().isoformat()
    detail = {"listed": len(listed), "not_ours": len(foreign), "not_listed": len(missing)}
    named = {"not_ours_ids": foreign[:_MAX_LISTED_IDS], "not_listed_ids": missing[:_MAX_LISTED_IDS]}
    with transaction():
        audit_log.record_audit_entry("texts_reconciled", day, None, now_ms, **detail, **named)
    if foreign or missing:
        _log.warning("daily reconciliation found differences", day=day, **detail)

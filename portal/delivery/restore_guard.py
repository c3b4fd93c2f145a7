"""Detect a restored database: its unsent messages may have been sent since (docs/reliability.md#restored-database).

The scheduler writes the time to the database, then to Redis. A database older than Redis was restored from a copy: its
waiting texts are looked up at Twilio before any is sent; emails and unfinished sends wait for an administrator; runs of
schedules that were due before are not made up for.
"""

import structlog

from portal.core import audit_log
from portal.core.context import settings
from portal.core.coordination import RESTORED, SyncCursor, sync_cursor
from portal.core.rules.lanes import Lane
from portal.core.statements import upsert
from portal.core.transaction import transaction
from portal.delivery.tables import clock_repair, quarantine
from portal.gateways import queue
from portal.messages.restore_check import RESTORE_CURSOR, restore_check_passed
from portal.messages.tables import lane_state
from portal.schedules.running import hold_after_restore
from portal.settings import app_settings

_MIN_CLOCK_STEP_MS = 60_000
"""Clocks are adjusted by seconds now and then; a larger step means that the clock was wrong."""
_LEEWAY_MS = 1_000
"""Slots are slightly in the future, and it is better for a lease to end late than early."""
_LONG_AGO_MS = 1
_log = structlog.get_logger(__name__)


def check_for_restore(now_ms: int) -> None:
    """The scheduler runs this each round. After a restart, workers send nothing before the first check."""
    database_ms = sync_cursor(RESTORE_CURSOR) or 0
    if not restore_check_passed(now_ms):
        _quarantine_restored(database_ms, now_ms)
    elif (ahead_ms := max(database_ms, clock_repair.latest_recorded_ms()) - now_ms) > _MIN_CLOCK_STEP_MS:
        _repair_clock_skew(ahead_ms - _LEEWAY_MS, now_ms)
    with transaction():
        upsert(SyncCursor, {"name": RESTORE_CURSOR, "at_ms": now_ms}, ["name"])
    queue.store_value(settings().redis_url, RESTORE_CURSOR, now_ms)


def mark_restored() -> None:
    """Declare the database restored, so that its waiting messages are held however recent it is."""
    with transaction():
        upsert(SyncCursor, {"name": RESTORE_CURSOR, "at_ms": _LONG_AGO_MS}, ["name"])


def _repair_clock_skew(by_ms: int, now_ms: int) -> None:
    with transaction():
        clock_repair.shift_attempts_back(by_ms, now_ms)
    after_id, moved, count = 0, 0, 1
    while count:
        with transaction():
            after_id, count = clock_repair.shift_deliveries_back(by_ms, now_ms, after_id)
        moved += count
    _log.error("clock moved backwards; corrected future timestamps", seconds=by_ms // 1000, messages=moved)


def _quarantine_restored(database_ms: int, now_ms: int) -> None:
    """Mark waiting texts as unknown; pause the email lanes and the sends in fan-out: nobody knows whom they reached."""
    credentials = app_settings.live_credentials()
    texts, count = 0, 1
    while count:
        with transaction():
            count = quarantine.quarantine_waiting_texts(credentials.account_sid if credentials else "", now_ms)
        texts += count
    mails = quarantine.count_unsent_mails()
    with transaction():
        if mails:
            for lane in Lane:
                lane_state.set_paused("email", lane, now_ms, None)
        for send_id in quarantine.pause_unfinished_fan_outs(now_ms):
            audit_log.record_audit_entry("send_paused_after_restore", f"send {send_id}", None, now_ms)
        hold_after_restore(now_ms)
        upsert(SyncCursor, {"name": RESTORED, "at_ms": now_ms}, ["name"])
        details = {"texts": texts, "mails": mails, "since_ms": database_ms}
        audit_log.record_audit_entry("database_restored", "the database", None, now_ms, **details)
    _log.error("database restore detected; waiting messages quarantined", texts=texts, mails=mails)

"""Detect a restored database: what it calls unsent may have left since (docs/reliability.md#restored-database).

The scheduler notes the time in the database, then in Redis. A database older than Redis says was restored from a copy.
Texts that wait in it are looked for at Twilio before any of them leaves; mail and sends that are not expanded to their
end wait for an administrator. When it was the clock that went back, what was written ahead of it is put right.
"""

import structlog

from portal.core import audit_log
from portal.core.context import settings
from portal.core.process_tables import RESTORED, SyncCursor, sync_cursor
from portal.core.statements import upsert
from portal.core.transaction import transaction
from portal.delivery.tables import clock_repair, quarantine
from portal.gateways import queue
from portal.messages.restore_check import _CURSOR_NAME
from portal.messages.rules.restore_detection import is_restored
from portal.messages.tables import lane_state
from portal.settings import live_gateway

_MIN_CLOCK_STEP_MS = 60_000
"""Clocks are set by seconds now and then; so much is a clock that was wrong."""
_LEEWAY_MS = 1_000
"""Slots lie a little ahead of the time at which they are given; a lease must rather end late than early."""
_LONG_AGO_MS = 1
_log = structlog.get_logger(__name__)


def check_for_restore(now_ms: int) -> None:
    """Once a turn of the scheduler. Nobody else sends before the first turn after a restart has looked."""
    redis_url = settings().redis_url
    noted_ms, remembered_ms = sync_cursor(_CURSOR_NAME), queue.load_value(redis_url, _CURSOR_NAME)
    if is_restored(noted_ms, remembered_ms, now_ms):
        _quarantine_restored(noted_ms or 0, now_ms)
    elif (ahead_ms := max(noted_ms or 0, clock_repair.latest_recorded_ms()) - now_ms) > _MIN_CLOCK_STEP_MS:
        _repair_clock_skew(ahead_ms - _LEEWAY_MS, now_ms)
    with transaction():
        upsert(SyncCursor, {"name": _CURSOR_NAME, "at_ms": now_ms}, ["name"])
    queue.store_value(redis_url, _CURSOR_NAME, now_ms)


def mark_restored() -> None:
    """Somebody says that the database was put back from a copy: what waits in it is held back, however young it is."""
    with transaction():
        upsert(SyncCursor, {"name": _CURSOR_NAME, "at_ms": _LONG_AGO_MS}, ["name"])


def _repair_clock_skew(by_ms: int, now_ms: int) -> None:
    with transaction():
        clock_repair.shift_attempts_back(by_ms, now_ms)
    after_id, moved, part = 0, 0, 1
    while part:
        with transaction():
            after_id, part = clock_repair.shift_deliveries_back(by_ms, now_ms, after_id)
        moved += part
    _log.error("clock moved backwards; corrected future timestamps", seconds=by_ms // 1000, messages=moved)


def _quarantine_restored(noted_ms: int, now_ms: int) -> None:
    """Every waiting text becomes one whose outcome is unknown; lanes of mail and sends under expansion stand still.

    Whom such a send reached since the copy nobody knows: its next messages would be new ones, with links of their own.
    """
    credentials = live_gateway.live_credentials()
    held = 0
    while True:
        with transaction():
            part = quarantine.quarantine_waiting_texts(credentials.account_sid if credentials else "", now_ms)
        held += part
        if not part:
            break
    mails = quarantine.count_unsent_mails()
    with transaction():
        if mails:
            for number in (0, 1):
                lane_state.set_paused("email", number, now_ms, None)
        for send_id in quarantine.pause_unfinished_fan_outs(now_ms):
            audit_log.record_audit_entry("send_paused_after_restore", f"send {send_id}", None, now_ms)
        upsert(SyncCursor, {"name": RESTORED, "at_ms": now_ms}, ["name"])
        audit_log.record_audit_entry(
            "database_restored", "the database", None, now_ms, texts=held, mails=mails, since_ms=noted_ms
        )
    _log.error("database restore detected; waiting messages quarantined", texts=held, mails=mails)

"""Detect a restored database: what it calls unsent may have left since (docs/reliability.md#restored-database).

The scheduler notes the time in the database, then in Redis. A database older than Redis says was restored from a copy.
Texts that wait in it are import_preview for at Twilio before any of them leaves; mail and sends that are not expanded to their
end wait for an administrator. When it was the clock that went back, what was written ahead of it is put right.
"""

import structlog

from portal.actions import twilio_api
from portal.actions.transaction import transaction
from portal.context import settings
from portal.domain.restored import is_restored
from portal.gateways import queue
from portal.models import ahead, audit_log, lane, quarantine
from portal.models.gateway import RESTORED, Bookmark, bookmark
from portal.models.upsert import put

_NAME = "tide"
_SET_BACK_MS = 60_000
"""Clocks are set by seconds now and then; so much is a clock that was wrong."""
_LEEWAY_MS = 1_000
"""Slots lie a little ahead of the time at which they are given; a lease must rather end late than early."""
_LONG_AGO_MS = 1
_log = structlog.get_logger(__name__)


def keep_time(now_ms: int) -> None:
    """Once a turn of the scheduler. Nobody else sends before the first turn after a restart has import_preview."""
    redis_url = settings().redis_url
    noted_ms, remembered_ms = bookmark(_NAME), queue.recall(redis_url, _NAME)
    if is_restored(noted_ms, remembered_ms, now_ms):
        _hold_back(noted_ms or 0, now_ms)
    elif (ahead_ms := max(noted_ms or 0, ahead.furthest_ms()) - now_ms) > _SET_BACK_MS:
        _put_right(ahead_ms - _LEEWAY_MS, now_ms)
    with transaction():
        put(Bookmark, {"name": _NAME, "at_ms": now_ms}, ["name"])
    queue.remember(redis_url, _NAME, now_ms)


def is_known_to_be_young(now_ms: int) -> bool:
    """Whether the scheduler has import_preview at this database lately, so that its texts may leave."""
    return not is_restored(bookmark(_NAME), queue.recall(settings().redis_url, _NAME), now_ms)


def call_restored() -> None:
    """Somebody says that the database was put back from a copy: what waits in it is held back, however young it is."""
    with transaction():
        put(Bookmark, {"name": _NAME, "at_ms": _LONG_AGO_MS}, ["name"])


def _put_right(by_ms: int, now_ms: int) -> None:
    with transaction():
        ahead.put_attempts_right(by_ms, now_ms)
    after_id, moved, part = 0, 0, 1
    while part:
        with transaction():
            after_id, part = ahead.put_some_right(by_ms, now_ms, after_id)
        moved += part
    _log.error("the clock went back; what was written ahead of it is put right", seconds=by_ms // 1000, messages=moved)


def _hold_back(noted_ms: int, now_ms: int) -> None:
    """Every waiting text becomes one whose outcome is unknown; lanes of mail and sends under expansion stand still.

    Whom such a send reached since the copy nobody knows: its next messages would be new ones, with links of their own.
    """
    credentials = twilio_api.live_credentials()
    held = 0
    while True:
        with transaction():
            part = quarantine.doubt_waiting_texts(credentials.account_sid if credentials else "", now_ms)
        held += part
        if not part:
            break
    mails = quarantine.count_unsent_mails()
    with transaction():
        if mails:
            for number in (0, 1):
                lane.set_paused("email", number, now_ms, None)
        for send_id in quarantine.pause_unexpanded(now_ms):
            audit_log.record_audit_entry("send_paused_after_restore", f"send {send_id}", None, now_ms)
        put(Bookmark, {"name": RESTORED, "at_ms": now_ms}, ["name"])
        audit_log.record_audit_entry("database_restored", "the database", None, now_ms, texts=held, mails=mails, since_ms=noted_ms)
    _log.error("the database is older than it should be; what waits in it is held back", texts=held, mails=mails)

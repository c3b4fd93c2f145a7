"""Quiet hours: the current setting, and releasing texts when quiet hours end."""

from collections.abc import Callable

from portal.core.context import settings
from portal.core.extensions import db
from portal.core.rules import quiet_hours
from portal.core.rules.delivery_status import DeliveryState
from portal.core.rules.quiet_hours import QuietHours, QuietHoursLookup
from portal.core.rules.routing import Mode
from portal.core.transaction import transaction
from portal.sends.send_control import requeue_deliveries
from portal.sends.tables import state_sync
from portal.sends.tables.sends import Send
from portal.sends.tables.state_sync import ANY_TIME_MS
from portal.settings import app_settings


def quiet_hours_lookup(now_ms: int) -> QuietHoursLookup:
    """Maps a time zone to the end of its current quiet hours, or None."""
    hours = configured_quiet_hours()
    return hours.lookup_at(now_ms) if hours else quiet_hours.no_quiet_hours


def configured_quiet_hours() -> QuietHours | None:
    times = settings().quiet_hours
    return QuietHours(*times) if times else None


def release_deferred(clock: Callable[[], int], should_stop: Callable[[], bool] = lambda: False) -> None:
    """Make texts ready whose quiet hours have ended, in batches; all of them if quiet hours no longer apply."""
    due_ms = clock() if _quiet_hours_apply(clock()) else ANY_TIME_MS
    for send_id in state_sync.send_ids_with_deferred_texts(due_ms):
        while not should_stop() and _release_batch(send_id, clock(), due_ms):
            pass
    db.session.rollback()


def _quiet_hours_apply(now_ms: int) -> bool:
    if settings().quiet_hours is None:
        return False
    return app_settings.resolve_current_gateway(now_ms).switches.mode in (Mode.LIVE, Mode.OFF)


def _release_batch(send_id: int, now_ms: int, due_ms: int) -> bool:
    with transaction() as session:
        return requeue_deliveries(session.get_one(Send, send_id), "sms", DeliveryState.DEFERRED, now_ms, due_ms)

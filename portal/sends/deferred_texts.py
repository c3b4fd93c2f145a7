"""Quiet hours: where they apply now, and releasing texts when they end."""

from collections.abc import Callable

from portal.accounts.rules.recipient_places import area_of, place_of
from portal.core.extensions import db
from portal.core.rules.delivery_status import DeliveryState
from portal.core.rules.limits.quiet_hours import QuietHours, QuietHoursLookup, no_quiet_hours
from portal.core.rules.routing import Mode
from portal.core.transaction import transaction
from portal.sends.send_control import requeue_deliveries
from portal.sends.tables import state_sync
from portal.sends.tables.sends import Send
from portal.sends.tables.state_sync import ANY_TIME_MS
from portal.settings import app_settings


def quiet_hours_lookup(hours: QuietHours | None, now_ms: int) -> QuietHoursLookup:
    """For the place where the recipient is, as number and account tell it."""
    if hours is None:
        return no_quiet_hours
    ends_ms = hours.lookup_at(now_ms)
    return lambda phone, timezone: ends_ms(place_of(area_of(phone), timezone))


def release_deferred(clock: Callable[[], int], should_stop: Callable[[], bool] = lambda: False) -> None:
    """Make texts ready whose quiet hours have ended, in batches; all of them if quiet hours no longer apply."""
    due_ms = clock() if _quiet_hours_apply(clock()) else ANY_TIME_MS
    for send_id in state_sync.send_ids_with_deferred_texts(due_ms):
        while not should_stop() and _release_batch(send_id, clock(), due_ms):
            pass
    db.session.rollback()


def _quiet_hours_apply(now_ms: int) -> bool:
    gateway = app_settings.resolve_current_gateway(now_ms)
    return gateway.limits.quiet_hours is not None and gateway.switches.mode in (Mode.LIVE, Mode.OFF)


def _release_batch(send_id: int, now_ms: int, due_ms: int) -> bool:
    with transaction() as session:
        return requeue_deliveries(session.get_one(Send, send_id), "sms", DeliveryState.DEFERRED, now_ms, due_ms)

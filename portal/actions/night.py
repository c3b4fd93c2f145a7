"""Quiet hours, as they are set here: who is in them, and what waited for their end."""

from collections.abc import Callable

from portal.actions import settings as app_settings
from portal.actions.send_control import requeue_deliveries
from portal.actions.transaction import transaction
from portal.context import settings
from portal.domain import quiet_hours
from portal.domain.quiet_hours import EndsMs, QuietHours
from portal.domain.routing import Mode
from portal.extensions import db
from portal.models import steering
from portal.models.send import Send
from portal.models.steering import WHENEVER_MS


def quiet_ends(now_ms: int) -> EndsMs:
    """Of a time zone: when the quiet hours it is in now end."""
    hours = hours_of_night()
    return hours.at(now_ms) if hours else quiet_hours.nobody


def hours_of_night() -> QuietHours | None:
    found = settings().quiet_hours
    return QuietHours(*found) if found else None


def wake(clock: Callable[[], int], should_stop: Callable[[], bool] = lambda: False) -> None:
    """Texts whose quiet hours have ended wait for their turn again, a part at a time.

    All of them, when quiet hours or the mode were changed meanwhile: whoever is in them still is found by the claim.
    """
    due_ms = clock() if _hold_now(clock()) else WHENEVER_MS
    for send_id in steering.resting_ids(due_ms):
        while not should_stop() and _wake_some(send_id, clock(), due_ms):
            pass
    db.session.rollback()


def _hold_now(now_ms: int) -> bool:
    return settings().quiet_hours is not None and app_settings.resolve_current_gateway(now_ms).switches.mode in (Mode.LIVE, Mode.OFF)


def _wake_some(send_id: int, now_ms: int, due_ms: int) -> bool:
    with transaction() as session:
        return requeue_deliveries(session.get_one(Send, send_id), "sms", "quiet", now_ms, due_ms)

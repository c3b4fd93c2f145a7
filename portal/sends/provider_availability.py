"""Whether the SMS provider responds, and whether the workers run."""

from collections.abc import Iterable

from portal.core.coordination import live_process_kinds
from portal.core.rules.process_kinds import SCHEDULER, WORKER_QUEUE_LABELS
from portal.messages.tables import lane_state, unresolved, unsent_messages
from portal.settings.tables.sending_numbers import is_any_sender_down

HEARTBEAT_TIMEOUT_MS = 60_000
DOWN_AFTER_MS = 30_000
"""A shorter silence is normal when a provider is busy."""
_RECENT_UNKNOWN_MS = 900_000


def is_provider_down(sender_keys: Iterable[str], now_ms: int) -> bool:
    """Whether a sending number has had no response for a while and texts are waiting or recently became unresolved."""
    if not is_any_sender_down(sender_keys, now_ms - DOWN_AFTER_MS):
        return False
    is_waiting = unsent_messages.next_due_ms("sms", lane_state.running_lanes("sms")) is not None
    return is_waiting or unresolved.has_recent_unknown("sms", now_ms - _RECENT_UNKNOWN_MS)


def missing_process_kinds(now_ms: int) -> set[str]:
    """The workers and the scheduler, if they had no heartbeat in the last minute."""
    return {*WORKER_QUEUE_LABELS, SCHEDULER} - live_process_kinds(now_ms - HEARTBEAT_TIMEOUT_MS)

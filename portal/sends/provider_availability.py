"""Whether the provider answers, and whether the workers run."""

from collections.abc import Iterable

from portal.core.process_tables import live_process_kinds
from portal.core.rules.process_kinds import SCHEDULER, WORKER_QUEUE_LABELS
from portal.messages.tables import lane_state, unresolved, unsent_messages
from portal.settings.tables.sending_numbers import is_any_sender_down

HEARTBEAT_TIMEOUT_MS = 60_000


_RECENT_UNKNOWN_MS = 900_000


def is_provider_down(numbers: Iterable[str], now_ms: int) -> bool:
    """Whether texts wait for a provider that has not answered for a while, or have just come into doubt at it.

    `numbers` are those in use. As long as any text waits it is asked again. What stays in doubt is put before an
    administrator.
    """
    if not is_any_sender_down(numbers, now_ms - DOWN_AFTER_MS):
        return False
    return unsent_messages.next_due_ms(
        "sms", lane_state.running_lanes("sms")
    ) is not None or unresolved.has_recent_unknown("sms", now_ms - _RECENT_UNKNOWN_MS)


def missing_process_kinds(now_ms: int) -> set[str]:
    """Kinds of process that gave no sign of life for a minute: of the workers, and the scheduler."""
    return {*WORKER_QUEUE_LABELS, SCHEDULER} - live_process_kinds(now_ms - HEARTBEAT_TIMEOUT_MS)


DOWN_AFTER_MS = 30_000
"""A provider that was silent, or out of reach, for less was busy for a moment."""

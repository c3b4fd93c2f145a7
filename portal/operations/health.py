"""Whether the parts of the product are there: for the readiness page and for the doctor."""

from collections.abc import Iterable

from portal.core import schema_version
from portal.core.context import settings
from portal.core.extensions import db
from portal.core.rules.connection_errors import ErrorExplanation
from portal.delivery.rules.circuit_breaker import DOWN_AFTER_MS
from portal.delivery.tables import ready_queue
from portal.gateways import queue
from portal.messages.tables import lane_state, unresolved
from portal.operations.rules.checks import SCHEDULER, WORKER_QUEUE_LABELS
from portal.settings.tables.setting_values import is_any_sender_down, live_process_kinds

HEARTBEAT_TIMEOUT_MS = 60_000
_RECENT_UNKNOWN_MS = 900_000


def is_database_ready() -> bool:
    """With tables that this version can work with. Raises `SQLAlchemyError` when it does not answer at all."""
    return not schema_version.migration_problem(schema_version.stored_revision(db.session.connection()))


def queue_problem() -> ErrorExplanation | None:
    """Why the queue takes no work at this moment; None when it does."""
    return queue.queue_problem_now(settings().redis_url)


def cached_queue_problem() -> ErrorExplanation | None:
    """As it was within the last seconds, for what every page shows."""
    return queue.cached_problem(settings().redis_url)


def is_provider_down(numbers: Iterable[str], now_ms: int) -> bool:
    """Whether texts wait for a provider that has not answered for a while, or have just come into doubt at it.

    `numbers` are those in use. As long as any text waits it is asked again. What stays in doubt is put before an
    administrator.
    """
    if not is_any_sender_down(numbers, now_ms - DOWN_AFTER_MS):
        return False
    return ready_queue.next_due_ms("sms", lane_state.running_lanes("sms")) is not None or unresolved.has_recent_unknown(
        "sms", now_ms - _RECENT_UNKNOWN_MS
    )


def missing_process_kinds(now_ms: int) -> set[str]:
    """Kinds of process that gave no sign of life for a minute: of the workers, and the scheduler."""
    return {*WORKER_QUEUE_LABELS, SCHEDULER} - live_process_kinds(now_ms - HEARTBEAT_TIMEOUT_MS)

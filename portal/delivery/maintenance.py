"""What the scheduler does each round. Calls to Twilio are separate, so that nothing else waits for them."""

from collections.abc import Callable

import structlog

from portal.authentication.session_management import delete_ended_sessions
from portal.consent import background_imports
from portal.consent.inbound_sync import fetch_missed_inbound, resolve_uncertain_order
from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.coordination import Heartbeat, Lease, acquire_lease, lease_holder, pending_work_ids, release_lease
from portal.core.extensions import db
from portal.core.statements import upsert
from portal.core.transaction import transaction
from portal.delivery.daily_reconciliation import reconcile_yesterday
from portal.delivery.receipts import apply_orphaned_receipts
from portal.delivery.reconciliation import fetch_missing_receipts, reconcile_unknown_texts, requeue_unknown_emails
from portal.delivery.restore_guard import check_for_restore
from portal.gateways import queue
from portal.gateways.provider import ProviderUnavailable
from portal.messages import total_maintenance
from portal.messages.tables import transitions, unsent_messages
from portal.schedules.running import run_due_schedules
from portal.sends import deferred_texts, recipient_file_retention, recipient_uploads
from portal.sends.fan_out import unfinished_send_ids
from portal.sends.send_control import apply_all_pending
from portal.sends.tables import sends
from portal.sends.tables.recipient_files import RecipientFile

_LEASE = "scheduler"
_log = structlog.get_logger(__name__)


def run_local_maintenance(clock: Callable[[], int] = now_ms) -> None:
    """Steps that need only the database and the queue. Due work is enqueued before the slow steps."""
    _run_steps(
        lambda: check_for_restore(clock()),
        lambda: deferred_texts.release_deferred(clock),
        lambda: run_due_schedules(clock()),
        lambda: enqueue_waiting(clock()),
        lambda: expire_stale_leases(clock()),
        lambda: apply_all_pending(clock),
        lambda: apply_orphaned_receipts(clock()),
        lambda: requeue_unknown_emails(clock()),
        lambda: recipient_file_retention.delete_old_values(clock),
        lambda: background_imports.delete_old_uploads(clock()),
        lambda: delete_ended_sessions(clock()),
        total_maintenance.fold_totals,
        lambda: total_maintenance.count_earlier_totals(clock()),
    )


def poll_twilio(clock: Callable[[], int] = now_ms) -> None:
    """Fetch what Twilio knows and the portal does not."""
    _run_steps(
        lambda: resolve_uncertain_order(clock),
        lambda: fetch_missed_inbound(clock),
        lambda: reconcile_unknown_texts(clock),
        lambda: fetch_missing_receipts(clock),
        lambda: reconcile_yesterday(clock),
    )


def _run_steps(*steps: Callable[[], None]) -> None:
    """A failing step does not stop the others."""
    for step in steps:
        try:
            step()
        except ProviderUnavailable as error:
            _log.warning("Twilio unavailable; will retry", error=str(error))
        except Exception:
            _log.exception("maintenance step failed; will retry")
        finally:
            db.session.remove()


def expire_stale_leases(at_ms: int) -> None:
    with transaction():
        transitions.expire_leases(at_ms)
        sends.finish_sends(at_ms)


def enqueue_waiting(at_ms: int) -> None:
    """Enqueue from the database, since the queue may have lost everything."""
    redis_url = settings().redis_url
    due_times = {channel: unsent_messages.next_due_ms(channel) for channel in ("email", "sms")}
    db.session.rollback()
    enqueue_started_sends(at_ms)
    for task_id in background_imports.unfinished_task_ids():
        queue.enqueue(redis_url, background_imports.JOB, task_id)
    for file_id in pending_work_ids(RecipientFile):
        queue.enqueue(redis_url, recipient_uploads.JOB, file_id)
    for channel, due_ms in due_times.items():
        if due_ms is not None and due_ms <= at_ms:
            queue.enqueue(redis_url, f"drain_{channel}")


def enqueue_started_sends(at_ms: int) -> None:
    """Continue the fan-outs that have begun."""
    for send_id in unfinished_send_ids(at_ms):
        queue.enqueue(settings().redis_url, "fan_out_send", send_id)


def milliseconds_to_next_start(at_ms: int) -> int | None:
    """Until a send begins that is waiting in case somebody undoes it; None if there is none."""
    starts_at_ms = sends.next_start_ms(at_ms)
    db.session.rollback()
    return None if starts_at_ms is None else starts_at_ms - at_ms


def acquire_leadership(
    holder: str, seconds: float, at_ms: int, is_holder_gone: Callable[[str], bool] = lambda _holder: False
) -> bool:
    """Return whether this scheduler may run maintenance. A holder that has certainly ended is replaced at once."""
    with transaction():
        previous = lease_holder(_LEASE)
        if previous not in (None, holder) and is_holder_gone(previous):
            release_lease(_LEASE, previous)
        return acquire_lease(Lease(name=_LEASE, holder=holder, expires_at_ms=at_ms + round(seconds * 1000)), at_ms)


def release_leadership(holder: str) -> None:
    """Let the next scheduler take over at once."""
    with transaction():
        release_lease(_LEASE, holder)


def record_heartbeat(name: str, kind: str, at_ms: int) -> None:
    """Record a heartbeat for the readiness page, independent of the queue (docs/reliability.md#heartbeats)."""
    with transaction():
        upsert(Heartbeat, {"name": name, "kind": kind, "at_ms": at_ms}, ["name"])

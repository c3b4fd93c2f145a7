"""What the scheduler does each round for records, after `delivery.maintenance`, which cannot know of them."""

from collections.abc import Callable

import structlog

from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.coordination import pending_work_ids
from portal.core.extensions import db
from portal.gateways import queue
from portal.records import exports, proof_of_notice, retention
from portal.records.tables.communication_exports import CommunicationExport
from portal.records.tables.proofs import Proof

_WORK = {exports.JOB: CommunicationExport, proof_of_notice.JOB: Proof}
_log = structlog.get_logger(__name__)


def run_record_maintenance(clock: Callable[[], int] = now_ms) -> None:
    """A failing step does not stop the others."""
    steps: tuple[Callable[[], None], ...] = (
        lambda: enqueue_unfinished(clock()),
        lambda: exports.delete_old_exports(clock()),
        lambda: proof_of_notice.delete_old_proofs(clock()),
    )
    for step in steps:
        try:
            step()
        except Exception:
            _log.exception("maintenance step failed; will retry")
        finally:
            db.session.remove()


def enqueue_unfinished(at_ms: int) -> None:
    """Enqueue from the database, since the queue may have lost everything."""
    for job, table in _WORK.items():
        for work_id in pending_work_ids(table):
            queue.enqueue(settings().redis_url, job, work_id)
    if retention.is_run_due(at_ms):
        queue.enqueue(settings().redis_url, retention.JOB)

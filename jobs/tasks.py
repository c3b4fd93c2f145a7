"""The tasks that can be enqueued by name (`gateways.queue`). Arguments are ids only."""

from collections.abc import Callable

from jobs import shutdown
from jobs.app import app
from portal.consent import background_imports
from portal.core.clock import now_ms
from portal.core.coordination import pending_work_ids
from portal.delivery import email_worker, sms_worker
from portal.records import exports, proof_of_notice, retention
from portal.records.tables.communication_exports import CommunicationExport
from portal.records.tables.proofs import Proof
from portal.sends import fan_out, recipient_file_check, send_control
from portal.sends.tables.recipient_files import RecipientFile


def drain_sms() -> None:
    with app().app_context():
        sms_worker.drain_sms(shutdown.is_shutdown_requested)


def drain_email() -> None:
    with app().app_context():
        email_worker.drain_email(shutdown.is_shutdown_requested)


def fan_out_send(send_id: int) -> None:
    with app().app_context():
        fan_out.fan_out_send(send_id, now_ms, shutdown.is_shutdown_requested)


def apply_send_control(send_id: int) -> None:
    with app().app_context():
        send_control.apply_to_deliveries(send_id, now_ms, shutdown.is_shutdown_requested)


def run_import_task(task_id: int) -> None:
    with app().app_context():
        background_imports.run_task(task_id, now_ms)


def check_recipient_file(file_id: int) -> None:
    with app().app_context():
        recipient_file_check.check_file(file_id, now_ms, shutdown.is_shutdown_requested)


def export_communications(export_id: int) -> None:
    with app().app_context():
        exports.run_export(export_id, now_ms, shutdown.is_shutdown_requested)


def delete_expired() -> None:
    with app().app_context():
        retention.delete_expired(now_ms, shutdown.is_shutdown_requested)


def write_proof(proof_id: int) -> None:
    with app().app_context():
        proof_of_notice.write_proof(proof_id, now_ms, shutdown.is_shutdown_requested)


def run_pending(queue: str) -> None:
    """Do the pending work of a queue without a job. The scheduler does rarer work."""
    _TASK_BY_QUEUE[queue]()


def _run_pending_work() -> None:
    with app().app_context():
        pending: dict[Callable[[int], None], list[int]] = {
            fan_out_send: fan_out.unfinished_send_ids(now_ms()),
            run_import_task: background_imports.unfinished_task_ids(),
            check_recipient_file: pending_work_ids(RecipientFile),
            export_communications: pending_work_ids(CommunicationExport),
            write_proof: pending_work_ids(Proof),
        }
        is_retention_due = retention.is_run_due(now_ms())
    for task, work_ids in pending.items():
        for work_id in work_ids:
            task(work_id)
    if is_retention_due:
        delete_expired()


_TASK_BY_QUEUE: dict[str, Callable[[], None]] = {"sms": drain_sms, "email": drain_email, "work": _run_pending_work}

"""Imports that a worker does for an administrator, each once (docs/reliability.md#import-tasks).

The import and the end of its task are one transaction. So a worker that dies leaves either both or nothing, and a
second worker with the same task changes nothing.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sqlalchemy import update

from portal.consent.account_import import ImportRejected
from portal.consent.opt_in_import import import_opt_ins
from portal.consent.opt_out_import import import_opt_outs
from portal.consent.tables.import_tasks import ImportTask, ImportTaskKind, ImportTaskState, pending_task_ids
from portal.core import audit_log
from portal.core.actor import Actor
from portal.core.context import settings
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.statements import updated_count
from portal.core.transaction import transaction
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.gateways import job_reports, queue

JOB = "run_import_task"
_MAX_ATTEMPTS = 5  # which `_GAVE_UP` says too
_GAVE_UP = N_("It was tried five times and never finished. Nothing was imported.")
_MAX_ERRORS_KEPT = 100
_IMPORTS: dict[str, Callable[..., Any]] = {
    ImportTaskKind.OPT_OUTS: import_opt_outs,
    ImportTaskKind.OPT_INS: import_opt_ins,
}


class _AlreadyEnded(Exception):
    """Another worker has ended the task in the meantime."""


def create_task(kind: ImportTaskKind, content: str, actor: Actor, now_ms: int) -> int:
    task = ImportTask(kind=kind, content=content, ip=actor.ip, user_agent=actor.user_agent)
    task.created_by_id, task.created_at_ms = actor.account_id, now_ms
    with transaction() as session:
        session.add(task)
        session.flush()
        task_id = task.id
    queue.enqueue(settings().redis_url, JOB, task_id)
    return task_id


def run_task(task_id: int, clock: Callable[[], int]) -> None:
    """An unexpected error leaves the task pending: it is tried again, and given up after some attempts."""
    attempt = _begin_attempt(task_id, clock())
    if attempt is None:
        return
    run_import, content, actor = attempt
    redis_url, lines = settings().redis_url, content.count("\n") + 1
    job_reports.report_progress(redis_url, 0, lines, "lines")

    def end(state: ImportTaskState, result: str) -> None:
        _end_task(task_id, state, result, clock())

    with suppress(_AlreadyEnded):
        try:
            run_import(content, actor, clock(), lambda plan: end(ImportTaskState.DONE, plan.summary), task_id)
        except ActionRefused as error:
            rows = error.row_errors[:_MAX_ERRORS_KEPT] if isinstance(error, ImportRejected) else []
            with transaction():
                end(ImportTaskState.REFUSED, "\n".join([error.message, *map(str, rows)]))
    job_reports.report_progress(redis_url, lines, lines, "lines")


def unfinished_task_ids() -> list[int]:
    task_ids = pending_task_ids()
    db.session.rollback()
    return task_ids


def retry_task(task_id: int, actor_id: int, now_ms: int) -> None:
    """Raises `ActionRefused` if the task has ended otherwise than by being given up."""
    query = update(ImportTask).where(ImportTask.id == task_id)
    query = query.where(ImportTask.state.in_((ImportTaskState.PENDING, ImportTaskState.FAILED)))
    with transaction():
        if not updated_count(query.values(state=ImportTaskState.PENDING, attempts=0, result="", finished_at_ms=None)):
            raise ActionRefused(_("This import is already over."))
        audit_log.record_audit_entry("job_retried", f"import {task_id}", actor_id, now_ms)
    queue.enqueue(settings().redis_url, JOB, task_id)


def _begin_attempt(task_id: int, now_ms: int) -> tuple[Callable[..., Any], str, Actor] | None:
    """Count the attempt before it begins, so that a task that kills its worker is given up too."""
    with transaction() as session:
        task = session.get(ImportTask, task_id, with_for_update=True)
        if task is None or task.state != ImportTaskState.PENDING:
            return None
        if task.attempts >= _MAX_ATTEMPTS:
            task.state, task.result, task.finished_at_ms = ImportTaskState.FAILED, _GAVE_UP, now_ms
            return None
        task.attempts, task.started_at_ms = task.attempts + 1, now_ms
        actor = Actor(task.created_by_id, task.ip, task.user_agent)
        return _IMPORTS[task.kind], task.content or "", actor


def _end_task(task_id: int, state: ImportTaskState, result: str, now_ms: int) -> None:
    """Inside a transaction."""
    query = update(ImportTask).where(ImportTask.id == task_id, ImportTask.state == ImportTaskState.PENDING)
    if not updated_count(query.values(state=state, result=result, content=None, finished_at_ms=now_ms)):
        raise _AlreadyEnded

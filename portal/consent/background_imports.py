"""Imports that a worker checks and does for an administrator, each once (docs/reliability.md#import-tasks).

The import and the end of its task are one transaction. So a worker that dies leaves either both or nothing, and a
second worker with the same task changes nothing.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import case, delete, select, update

from portal.accounts.account_language import language_of_account
from portal.consent.account_import import ImportRejected
from portal.consent.opt_in_import import import_opt_ins
from portal.consent.opt_out_import import import_opt_outs
from portal.consent.tables.import_tasks import (
    ImportTask,
    ImportTaskKind,
    ImportTaskState,
    delete_unconfirmed,
    pending_task_ids,
)
from portal.core import audit_log
from portal.core.actor import Actor
from portal.core.context import settings
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.rules.csv_input import CsvError, DecodedFile
from portal.core.rules.spreadsheets.spreadsheet_rows import decode_spreadsheet
from portal.core.rules.text_input import clean_line
from portal.core.statements import updated_count
from portal.core.transaction import transaction
from portal.core.translation import N_, use_language
from portal.core.translation import gettext as _
from portal.gateways import job_reports, queue

JOB = "run_import_task"
_MAX_ATTEMPTS = 5  # which `_GAVE_UP` says too
_GAVE_UP = N_("It was tried five times and never finished. Nothing was imported.")
_GAVE_UP_IN_PART = N_("It was tried five times and stopped. What was imported until then stays.")
_MAX_ERRORS_KEPT = 100
_OPEN = (ImportTaskState.PENDING, ImportTaskState.CHECKING)
_UNCONFIRMED_MS = 30 * 86_400_000
_MAX_NAME_LENGTH = 120


@dataclass(frozen=True)
class ImportSteps:
    """What a worker does with one kind of file.

    `check` gets the text, who uploaded it, the task and the time, and returns what is to be shown before somebody
    confirms it; bytes in its `previewed_rows` are kept for `run`. It raises what `run` would.
    """

    run: Callable[..., Any]
    check: Callable[[str, Actor, int, int], dict[str, Any]] = lambda _text, _actor, _task_id, _now_ms: {}


IMPORTS: dict[str, ImportSteps] = {
    ImportTaskKind.OPT_OUTS: ImportSteps(import_opt_outs),
    ImportTaskKind.OPT_INS: ImportSteps(import_opt_ins),
}
"""By the kind of task. Packages above this one add theirs."""


class _AlreadyEnded(Exception):
    """Another worker has ended the task in the meantime."""


@dataclass(frozen=True)
class _Attempt:
    task_id: int
    steps: ImportSteps
    is_upload: bool
    content: str
    actor: Actor


def create_task(kind: ImportTaskKind, content: str, actor: Actor, now_ms: int) -> int:
    return _add_task(ImportTask(kind=kind, content=content), actor, now_ms)


def create_upload(
    kind: ImportTaskKind,
    upload: bytes,
    file_name: str,
    actor: Actor,
    now_ms: int,
    options: Mapping[str, Any] = MappingProxyType({}),
) -> int:
    """Have a file checked. Raises `CsvError` if it is empty."""
    if not upload.strip():
        raise CsvError(_("The file is empty."))
    name = clean_line(file_name.replace("\\", "/").rpartition("/")[2])[:_MAX_NAME_LENGTH]
    task = ImportTask(kind=kind, upload=upload, file_name=name, state=ImportTaskState.CHECKING, options=dict(options))
    return _add_task(task, actor, now_ms)


def _add_task(task: ImportTask, actor: Actor, now_ms: int) -> int:
    task.ip, task.user_agent = actor.ip, actor.user_agent
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
    with suppress(_AlreadyEnded), use_language(language_of_account(attempt.actor.account_id)):
        try:
            _check(attempt, clock()) if attempt.is_upload else _import(attempt, clock)
        except ActionRefused as error:
            rows = error.row_errors[:_MAX_ERRORS_KEPT] if isinstance(error, ImportRejected) else []
            with transaction():
                _end_task(task_id, ImportTaskState.REFUSED, "\n".join([error.message, *map(str, rows)]), clock())


def _import(attempt: _Attempt, clock: Callable[[], int]) -> None:
    lines = attempt.content.count("\n") + 1
    _report_progress(0, lines, "lines")

    def end(plan: Any) -> None:
        _end_task(attempt.task_id, ImportTaskState.DONE, plan.summary, clock())

    attempt.steps.run(attempt.content, attempt.actor, clock(), end, attempt.task_id)
    _report_progress(lines, lines, "lines")


def _check(attempt: _Attempt, now_ms: int) -> None:
    """A failure later on is one of the import, which has attempts of its own."""
    file = _decode_upload(attempt.task_id)
    preview = attempt.steps.check(file.text, attempt.actor, attempt.task_id, now_ms)
    previewed_rows, warnings = preview.pop("previewed_rows", None), [*file.warnings, *preview.pop("warnings", ())]
    columns = {"content": file.text, "upload": None, "previewed_rows": previewed_rows, "attempts": 0}
    columns["preview"] = {**preview, "warnings": warnings}
    query = update(ImportTask).where(ImportTask.id == attempt.task_id, ImportTask.state == ImportTaskState.CHECKING)
    with transaction():
        updated_count(query.values(state=ImportTaskState.CHECKED, **columns))


def _decode_upload(task_id: int) -> DecodedFile:
    """The upload is read here, so that it is forgotten as soon as there is its text."""
    upload = db.session.scalar(select(ImportTask.upload).where(ImportTask.id == task_id)) or b""
    db.session.rollback()
    return decode_spreadsheet(upload, lambda row, rows: _report_progress(row, rows, "rows"))


def _report_progress(done: int, total: int, unit: str) -> None:
    job_reports.report_progress(settings().redis_url, done, total, unit)


def confirm_upload(task_id: int, actor_id: int) -> None:
    """Import a file that has been checked. Raises `ActionRefused` if it has not, or if somebody has begun."""
    query = update(ImportTask).where(ImportTask.id == task_id, ImportTask.state == ImportTaskState.CHECKED)
    with transaction():
        if not updated_count(query.values(state=ImportTaskState.PENDING, created_by_id=actor_id)):
            raise ActionRefused(_("This import is already over, or somebody has just started it."))
    queue.enqueue(settings().redis_url, JOB, task_id)


def discard_upload(task_id: int, kind: ImportTaskKind) -> None:
    """Its text has been imported by another task of this kind, perhaps after corrections."""
    checked = (ImportTask.kind == kind, ImportTask.state == ImportTaskState.CHECKED)
    with transaction() as session:
        session.execute(delete(ImportTask).where(ImportTask.id == task_id, *checked))


def delete_old_uploads(now_ms: int) -> None:
    """What was checked and not imported for 30 days."""
    with transaction():
        delete_unconfirmed(now_ms - _UNCONFIRMED_MS)


def unfinished_task_ids() -> list[int]:
    task_ids = pending_task_ids()
    db.session.rollback()
    return task_ids


def retry_task(task_id: int, actor_id: int, now_ms: int) -> None:
    """Raises `ActionRefused` if the task has ended otherwise than by being given up."""
    open_states = (ImportTaskState.PENDING, ImportTaskState.CHECKING, ImportTaskState.FAILED)
    query = update(ImportTask).where(ImportTask.id == task_id, ImportTask.state.in_(open_states))
    state = case((ImportTask.upload.is_not(None), ImportTaskState.CHECKING), else_=ImportTaskState.PENDING)
    with transaction():
        if not updated_count(query.values(state=state, attempts=0, result="", finished_at_ms=None)):
            raise ActionRefused(_("This import is already over."))
        audit_log.record_audit_entry("job_retried", f"import {task_id}", actor_id, now_ms)
    queue.enqueue(settings().redis_url, JOB, task_id)


def _begin_attempt(task_id: int, now_ms: int) -> _Attempt | None:
    """Count the attempt before it begins, so that a task that kills its worker is given up too."""
    with transaction() as session:
        task = session.get(ImportTask, task_id, with_for_update=True)
        if task is None or task.state not in _OPEN:
            return None
        if task.attempts >= _MAX_ATTEMPTS:
            gave_up = _GAVE_UP_IN_PART if task.progress else _GAVE_UP
            task.state, task.result, task.finished_at_ms = ImportTaskState.FAILED, gave_up, now_ms
            return None
        task.attempts, task.started_at_ms = task.attempts + 1, now_ms
        actor = Actor(task.created_by_id, task.ip, task.user_agent)
        is_upload = task.state == ImportTaskState.CHECKING
        return _Attempt(task_id, IMPORTS[task.kind], is_upload, "" if is_upload else task.content or "", actor)


def _end_task(task_id: int, state: ImportTaskState, result: str, now_ms: int) -> None:
    """Inside a transaction."""
    query = update(ImportTask).where(ImportTask.id == task_id, ImportTask.state.in_(_OPEN))
    ended = {"state": state, "result": result, "finished_at_ms": now_ms}
    ended |= dict.fromkeys(("content", "upload", "previewed_rows"))
    if not updated_count(query.values(**ended)):
        raise _AlreadyEnded


def record_progress(task_id: int, progress: Mapping[str, Any]) -> None:
    """What has been done, in the transaction that did it. Raises if another worker has ended the task."""
    query = update(ImportTask).where(ImportTask.id == task_id, ImportTask.state == ImportTaskState.PENDING)
    if not updated_count(query.values(progress=dict(progress), attempts=0)):
        raise _AlreadyEnded

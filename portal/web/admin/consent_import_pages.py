"""Administration → Consent → Import: opt-outs and opt-ins from files, with a preview before they are written."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.consent import background_imports
from portal.consent.account_import import ImportRejected
from portal.consent.opt_in_import import plan_opt_ins
from portal.consent.opt_out_import import plan_opt_outs
from portal.consent.rules.consent_csv import OPT_IN_COLUMNS, OPT_OUT_COLUMNS
from portal.consent.tables.import_tasks import ImportTask, ImportTaskKind, ImportTaskState, recent_tasks
from portal.core.actor import Actor
from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.rules.csv_input import MAX_CSV_ROWS, RowError
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.gateways import queue
from portal.gateways.job_reports import find_jobs
from portal.web.access import allow
from portal.web.admin.consent_import_form import ConsentImportForm
from portal.web.current_actor import current_actor
from portal.web.error_pages import flash_outcome
from portal.web.polling import poll_interval_seconds
from portal.web.request_input import is_htmx_request, parse_id

pages = Blueprint("admin_imports", __name__, url_prefix="/Admin/Consent/Import")
_MAX_FILE_BYTES = 16 * 1024 * 1024
_MAX_ROWS_LISTED = 100
_RECENT_COUNT = 5


@dataclass(frozen=True)
class ImportKind:
    """One kind of file, with the actions that preview and run its import."""

    endpoint: str
    title: str
    columns: Sequence[str]
    preview: Callable[[str, Actor, int], Any]
    task: ImportTaskKind


@dataclass(frozen=True)
class ImportPreview:
    """A plan to confirm by the digest of its text, or the errors; and warnings in either case."""

    form: ConsentImportForm
    warnings: tuple[str, ...] = ()
    plan: Any = None
    digest: str = ""
    error: str = ""
    row_errors: list[RowError] = field(default_factory=list)


_OPT_OUTS = ImportKind(
    "admin_imports.opt_outs_page", N_("Import opt-outs"), OPT_OUT_COLUMNS, plan_opt_outs, ImportTaskKind.OPT_OUTS
)
_OPT_INS = ImportKind(
    "admin_imports.opt_ins_page", N_("Import opt-ins"), OPT_IN_COLUMNS, plan_opt_ins, ImportTaskKind.OPT_INS
)


@pages.url_value_preprocessor
def _raise_size_limit(_endpoint: str | None, _values: dict[str, Any] | None) -> None:
    """Runs before anything reads the form: a file may be larger than the forms of other pages."""
    request.max_content_length = _MAX_FILE_BYTES
    request.max_form_memory_size = _MAX_FILE_BYTES


@pages.route("/OptOuts", methods=["GET", "POST"])
@allow("admin")
def opt_outs_page() -> ResponseReturnValue:
    return _handle_import(_OPT_OUTS)


@pages.route("/OptIns", methods=["GET", "POST"])
@allow("admin")
def opt_ins_page() -> ResponseReturnValue:
    return _handle_import(_OPT_INS)


@pages.get("/<id:task_id>")
@allow("admin")
def show(task_id: int) -> ResponseReturnValue:
    """One import; only its progress for htmx."""
    task, kind = _task_and_kind(task_id)
    if task.state == ImportTaskState.CHECKED:
        return _checked_page(task, kind)
    template = "admin/imports/_progress.html" if is_htmx_request() else "admin/imports/one.html"
    page = render_template(
        template,
        task=task,
        kind=kind,
        jobs=find_jobs(settings().redis_url, queue.job_id(background_imports.JOB, task_id)),
        retry_url=lambda _job_id: url_for(".retry", task_id=task_id),
        poll_seconds=poll_interval_seconds(now_ms() - task.created_at_ms)
        if task.state in (ImportTaskState.PENDING, ImportTaskState.CHECKING)
        else None,
    )
    return page, {"Vary": "HX-Request"}


def _task_and_kind(task_id: int) -> tuple[ImportTask, ImportKind]:
    task = db.session.get(ImportTask, task_id) or abort(404)
    return task, next((kind for kind in (_OPT_OUTS, _OPT_INS) if kind.task == task.kind), None) or abort(404)


def _checked_page(task: ImportTask, kind: ImportKind) -> ResponseReturnValue:
    """The preview of a workbook that has been unpacked. A page that has been waiting for it loads it."""
    if is_htmx_request():
        return "", {"HX-Refresh": "true", "Vary": "HX-Request"}
    form = ConsentImportForm(formdata=None)
    form.text.data, form.upload.data, form.warnings = task.content or "", str(task.id), tuple(task.preview["warnings"])
    return _preview_page(kind, form)


@pages.post("/<id:task_id>/retry")
@allow("admin")
def retry(task_id: int) -> ResponseReturnValue:
    _task_and_kind(task_id)
    with flash_outcome(_("The import was started again.")):
        background_imports.retry_task(task_id, current_user.id, now_ms())
    return redirect(url_for(".show", task_id=task_id), 303)


@pages.errorhandler(413)
def _file_too_large(_error: Exception) -> ResponseReturnValue:
    kind = _OPT_INS if request.endpoint == _OPT_INS.endpoint else _OPT_OUTS
    problem = _("The file is larger than 16 MB. Split it and import its parts.")
    page, _status = _page(kind, ImportPreview(ConsentImportForm(formdata=None), error=problem))
    return page, 413


def _handle_import(kind: ImportKind) -> ResponseReturnValue:
    form = ConsentImportForm()
    if request.method == "GET":
        return _page(kind, ImportPreview(form))
    try:
        if workbook := form.read_file():
            name = form.file.data.filename or ""
            task_id = background_imports.create_upload(kind.task, workbook, name, current_actor(), now_ms())
            return redirect(url_for(".show", task_id=task_id), 303)
    except ActionRefused as error:
        return _page(kind, ImportPreview(form, error=error.message))
    if form.confirmed.data == _digest(form.text.data):
        task_id = background_imports.create_task(kind.task, form.text.data, current_actor(), now_ms())
        background_imports.discard_upload(parse_id(form.upload.data) or 0, kind.task)
        return redirect(url_for(".show", task_id=task_id), 303)
    return _preview_page(kind, form)


def _preview_page(kind: ImportKind, form: ConsentImportForm) -> ResponseReturnValue:
    try:
        plan = kind.preview(form.text.data, current_actor(), now_ms())
    except ImportRejected as error:
        return _page(kind, ImportPreview(form, form.warnings, error=error.message, row_errors=error.row_errors))
    except ActionRefused as error:
        return _page(kind, ImportPreview(form, form.warnings, error=error.message))
    digest = _digest(form.text.data)
    return _page(kind, ImportPreview(form, (*form.warnings, *map(str, plan.warnings)), plan, digest))


def _digest(text: str) -> str:
    """Ties a confirmation to the previewed text. Line ends do not count, because browsers change them."""
    normalised = text.replace("\r\n", "\n").replace("\r", "\n")
    return hashlib.sha256(normalised.encode("utf-8", "replace")).hexdigest()


def _page(kind: ImportKind, preview: ImportPreview) -> tuple[str, int]:
    page = render_template(
        "admin/imports/form.html",
        kind=kind,
        preview=preview,
        recent=recent_tasks(kind.task, _RECENT_COUNT),
        max_listed=_MAX_ROWS_LISTED,
        max_rows=MAX_CSV_ROWS,
    )
    return page, 422 if preview.error else 200

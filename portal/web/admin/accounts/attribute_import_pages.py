"""Administration → People → Attributes → Import: set attributes of many accounts from a file, after a preview."""

from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from flask_wtf.file import FileField

from portal.accounts.tables.attributes import all_attributes
from portal.consent import background_imports
from portal.consent.tables.import_tasks import ImportTask, ImportTaskKind, ImportTaskState, recent_tasks
from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.rules.csv_input import MAX_CSV_ROWS
from portal.core.translation import gettext as _
from portal.core.translation import lazy_gettext
from portal.gateways import queue
from portal.gateways.job_reports import find_jobs
from portal.operations.attribute_import import KEY_COLUMN
from portal.web.access import allow
from portal.web.base_form import PortalForm
from portal.web.current_actor import current_actor
from portal.web.polling import poll_interval_seconds
from portal.web.request_input import is_htmx_request

pages = Blueprint("admin_attribute_import", __name__, url_prefix="/Admin/Attributes/import")
_MAX_FILE_BYTES = 20 * 1024 * 1024
_RECENT_COUNT = 10
_OPEN = (ImportTaskState.CHECKING, ImportTaskState.PENDING)


class AttributeImportForm(PortalForm):
    file = FileField(lazy_gettext("CSV file or Excel workbook (.xlsx)"))


@pages.url_value_preprocessor
def _raise_size_limit(_endpoint: str | None, _values: dict[str, Any] | None) -> None:
    """Runs before anything reads the form: a file may be larger than the forms of other pages."""
    request.max_content_length = _MAX_FILE_BYTES + 65_536


@pages.get("")
@allow("admin")
def form() -> ResponseReturnValue:
    return _form_page(AttributeImportForm())


@pages.post("")
@allow("admin")
def upload() -> ResponseReturnValue:
    form = AttributeImportForm()
    if not form.file.data:
        return _form_page(form, _("Choose a file."))
    content, name, kind = form.file.data.read(), form.file.data.filename or "", ImportTaskKind.ATTRIBUTES
    try:
        task_id = background_imports.create_upload(kind, content, name, current_actor(), now_ms())
    except ActionRefused as error:
        return _form_page(form, error.message)
    return redirect(url_for(".show", task_id=task_id), 303)


@pages.errorhandler(413)
def _file_too_large(_error: Exception) -> ResponseReturnValue:
    page, _status = _form_page(
        AttributeImportForm(formdata=None), _("The file is larger than 20 MB. Split it and import its parts.")
    )
    return page, 413


@pages.get("/<id:task_id>")
@allow("admin")
def show(task_id: int) -> ResponseReturnValue:
    """One import; only its progress for htmx."""
    task = _task(task_id)
    template = "admin/attributes/_import_progress.html" if is_htmx_request() else "admin/attributes/import_one.html"
    page = render_template(
        template,
        task=task,
        jobs=find_jobs(settings().redis_url, queue.job_id(background_imports.JOB, task_id)),
        retry_url=lambda _job_id: url_for(".retry", task_id=task_id),
        poll_seconds=poll_interval_seconds(now_ms() - task.created_at_ms) if task.state in _OPEN else None,
    )
    return page, {"Vary": "HX-Request"}


@pages.post("/<id:task_id>/confirm")
@allow("admin")
def confirm(task_id: int) -> ResponseReturnValue:
    try:
        background_imports.confirm_upload(_task(task_id).id, current_user.id)
    except ActionRefused as error:
        flash(error.message, "error")
    return redirect(url_for(".show", task_id=task_id), 303)


@pages.post("/<id:task_id>/retry")
@allow("admin")
def retry(task_id: int) -> ResponseReturnValue:
    try:
        background_imports.retry_task(_task(task_id).id, current_user.id, now_ms())
        flash(_("The import was started again."), "info")
    except ActionRefused as error:
        flash(error.message, "error")
    return redirect(url_for(".show", task_id=task_id), 303)


def _task(task_id: int) -> ImportTask:
    task = db.session.get(ImportTask, task_id)
    return task if task and task.kind == ImportTaskKind.ATTRIBUTES else abort(404)


def _form_page(form: AttributeImportForm, problem: str = "") -> tuple[str, int]:
    page = render_template(
        "admin/attributes/import.html",
        form=form,
        problem=problem,
        key_column=KEY_COLUMN,
        attributes=all_attributes(),
        recent=recent_tasks(ImportTaskKind.ATTRIBUTES, _RECENT_COUNT),
        max_rows=MAX_CSV_ROWS,
    )
    return page, 422 if problem else 200

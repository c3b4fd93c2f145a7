"""The views of an import from a file, whatever it imports: upload, check, preview, confirm, try again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from flask_wtf.file import FileField

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
from portal.web.access import allow
from portal.web.authentication.recent_sign_in import needs_recent_sign_in
from portal.web.base_form import PortalForm
from portal.web.current_actor import current_actor
from portal.web.polling import poll_interval_seconds
from portal.web.request_input import is_htmx_request

_MAX_FILE_BYTES = 20 * 1024 * 1024
_RECENT_COUNT = 10
_OPEN = (ImportTaskState.CHECKING, ImportTaskState.PENDING)


class UploadForm(PortalForm):
    file = FileField(lazy_gettext("CSV file or Excel workbook (.xlsx)"))

    @property
    def options(self) -> dict[str, Any]:
        """What was chosen with the file."""
        return {}


@dataclass(frozen=True)
class ImportPages:
    """`templates` is a folder with the form, the page of one import and its progress; `values` are for the form."""

    blueprint: Blueprint
    kind: ImportTaskKind
    templates: str
    form_class: type[UploadForm]
    values: Callable[[], Mapping[str, Any]]

    def add_views(self) -> None:
        for rule, name, method, view in (
            ("", "form", "GET", self._form),
            ("", "upload", "POST", self._upload),
            ("/<id:task_id>", "show", "GET", self._show),
            ("/<id:task_id>/confirm", "confirm", "POST", self._confirm),
            ("/<id:task_id>/retry", "retry", "POST", self._retry),
        ):
            page = allow("admin")(_function(view))
            changes_accounts = name == "confirm"
            self.blueprint.add_url_rule(
                rule, name, needs_recent_sign_in(page) if changes_accounts else page, methods=[method]
            )
        self.blueprint.url_value_preprocessor(_raise_size_limit)
        self.blueprint.register_error_handler(413, self._file_too_large)

    def _form(self) -> ResponseReturnValue:
        return self._form_page(self.form_class())

    def _upload(self) -> ResponseReturnValue:
        form = self.form_class()
        if not form.file.data:
            return self._form_page(form, _("Choose a file."))
        content, name = form.file.data.read(), form.file.data.filename or ""
        try:
            task_id = background_imports.create_upload(
                self.kind, content, name, current_actor(), now_ms(), form.options
            )
        except ActionRefused as error:
            return self._form_page(form, error.message)
        return redirect(url_for(".show", task_id=task_id), 303)

    def _file_too_large(self, _error: Exception) -> ResponseReturnValue:
        problem = _("The file is larger than 20 MB. Split it and import its parts.")
        page, _status = self._form_page(self.form_class(formdata=None), problem)
        return page, 413

    def _show(self, task_id: int) -> ResponseReturnValue:
        """One import; only its progress for htmx."""
        task = self._task(task_id)
        page = render_template(
            f"{self.templates}/{'_import_progress' if is_htmx_request() else 'import_one'}.html",
            task=task,
            jobs=find_jobs(settings().redis_url, queue.job_id(background_imports.JOB, task_id)),
            retry_url=lambda _job_id: url_for(".retry", task_id=task_id),
            poll_seconds=poll_interval_seconds(now_ms() - task.created_at_ms) if task.state in _OPEN else None,
        )
        return page, {"Vary": "HX-Request"}

    def _confirm(self, task_id: int) -> ResponseReturnValue:
        try:
            background_imports.confirm_upload(self._task(task_id).id, current_user.id)
        except ActionRefused as error:
            flash(error.message, "error")
        return redirect(url_for(".show", task_id=task_id), 303)

    def _retry(self, task_id: int) -> ResponseReturnValue:
        try:
            background_imports.retry_task(self._task(task_id).id, current_user.id, now_ms())
            flash(_("The import was started again."), "info")
        except ActionRefused as error:
            flash(error.message, "error")
        return redirect(url_for(".show", task_id=task_id), 303)

    def _task(self, task_id: int) -> ImportTask:
        task = db.session.get(ImportTask, task_id)
        return task if task and task.kind == self.kind else abort(404)

    def _form_page(self, form: UploadForm, problem: str = "") -> tuple[str, int]:
        recent, limits = recent_tasks(self.kind, _RECENT_COUNT), {"max_rows": MAX_CSV_ROWS}
        values = {"form": form, "problem": problem, "recent": recent, **limits, **self.values()}
        return render_template(f"{self.templates}/import.html", **values), 422 if problem else 200


def _function(view: Callable[..., ResponseReturnValue]) -> Callable[..., ResponseReturnValue]:
    """An access rule cannot be written onto a method."""
    return lambda **values: view(**values)


def _raise_size_limit(_endpoint: str | None, _values: dict[str, Any] | None) -> None:
    """Runs before anything reads the form: a file may be larger than the forms of other pages."""
    request.max_content_length = _MAX_FILE_BYTES + 65_536

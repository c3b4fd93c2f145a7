"""Administration → Sends: upload a file with values for each person, see its errors, send to its good rows."""

from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, abort, redirect, render_template, request, stream_with_context, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.extensions import db
from portal.core.rules import csv_output
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.gateways import queue
from portal.gateways.job_reports import find_jobs
from portal.sends import recipient_uploads
from portal.sends.rules.recipient_rows import ACCOUNT_COLUMN
from portal.sends.tables import recipient_files
from portal.sends.tables.recipient_files import RecipientFile, RecipientFileState
from portal.sends.tables.sends import Send
from portal.web.access import allow
from portal.web.admin.sends.send_form import SendForm, empty_send_form, form_of_file, submitted_send_form
from portal.web.error_pages import flash_outcome
from portal.web.languages import keep_language
from portal.web.paging import Sort, requested_order, sorted_page
from portal.web.polling import poll_interval_seconds
from portal.web.request_input import is_htmx_request, query_text

pages = Blueprint("admin_recipient_files", __name__, url_prefix="/Admin/Sends/Files")
MAX_FILE_BYTES = 20 * 1024 * 1024
_MAX_ERRORS_LISTED = 100
_PAGE_SIZE = 25
_DAY_MS = 86_400_000


@pages.url_value_preprocessor
def _raise_size_limit(_endpoint: str | None, _values: dict[str, Any] | None) -> None:
    """Runs before anything reads the form: a file may be larger than the forms of other pages."""
    request.max_content_length = MAX_FILE_BYTES + 65_536


@pages.get("")
@allow("admin")
def listing() -> str:
    order = requested_order(Sort("uploaded", N_("Uploaded"), (RecipientFile.id,), descending=True))
    page = sorted_page(order, recipient_files.files_page(order.keyset(_PAGE_SIZE)))
    return render_template("admin/recipient_files/index.html", page=page)


@pages.post("")
@allow("admin")
def upload() -> ResponseReturnValue:
    form = submitted_send_form() or abort(404)
    if not form.file.data:
        return _form_page(form, _("Choose a file."))
    content, name = form.file.data.read(), form.file.data.filename or ""
    try:
        file_id = recipient_uploads.upload_file(form.version, name, content, form.values, current_user.id, now_ms())
    except ActionRefused as error:
        return _form_page(form, error.message)
    return redirect(url_for(".show", file_id=file_id), 303)


@pages.errorhandler(413)
def _file_too_large(_error: Exception) -> ResponseReturnValue:
    form = empty_send_form(query_text("template")) or abort(413)
    page, _status = _form_page(form, _("The file is larger than 20 MB. Split it and send to its parts."))
    return page, 413


@pages.get("/<id:file_id>")
@allow("admin")
def show(file_id: int) -> ResponseReturnValue:
    """One file; only what the check has found so far for htmx."""
    file = _file(file_id)
    template = "admin/recipient_files/_check.html" if is_htmx_request() else "admin/recipient_files/one.html"
    previous = file if file.send_id else recipient_files.earlier_upload(file, file.created_at_ms - _DAY_MS)
    is_pending = file.state == RecipientFileState.PENDING
    page = render_template(
        template,
        file=file,
        form=form_of_file(file),
        errors=recipient_files.row_errors(file_id, _MAX_ERRORS_LISTED),
        error_count=recipient_files.count_errors(file_id),
        previous=previous,
        previous_send=db.session.get(Send, previous.send_id) if previous and previous.send_id else None,
        jobs=find_jobs(settings().redis_url, queue.job_id(recipient_uploads.JOB, file_id)),
        retry_url=lambda _job_id: url_for(".retry", file_id=file_id),
        poll_seconds=poll_interval_seconds(now_ms() - file.created_at_ms) if is_pending else None,
    )
    return page, {"Vary": "HX-Request"}


@pages.post("/<id:file_id>/retry")
@allow("admin")
def retry(file_id: int) -> ResponseReturnValue:
    with flash_outcome(_("The check was started again.")):
        recipient_uploads.retry_check(_file(file_id).id, current_user.id, now_ms())
    return redirect(url_for(".show", file_id=file_id), 303)


@pages.get("/<id:file_id>/<any(good, bad):rows>.csv")
@allow("admin")
def download(file_id: int, rows: str) -> ResponseReturnValue:
    file = _file(file_id)
    lines = _good_lines(file) if rows == "good" else _bad_lines(file)
    headers = {"Content-Disposition": f"attachment; filename={rows}-rows-{file_id}.csv"}
    return Response(keep_language(stream_with_context(lines)), mimetype="text/csv", headers=headers)


def _good_lines(file: RecipientFile) -> Iterator[str]:
    fields, file_id = list(file.fields), file.id
    yield csv_output.BYTE_ORDER_MARK + csv_output.format_row([ACCOUNT_COLUMN, *fields])
    for row in recipient_files.good_rows(file_id):
        yield csv_output.format_row([row.external_id, *(row.data.get(name) for name in fields)])


def _bad_lines(file: RecipientFile) -> Iterator[str]:
    """With what is wrong in a last column, which an upload of the corrected file ignores."""
    fields, file_id = list(file.fields), file.id
    yield csv_output.BYTE_ORDER_MARK + csv_output.format_row([ACCOUNT_COLUMN, *fields, _("Problem")])
    for row, errors in recipient_files.bad_rows(file_id):
        problem = " ".join(f"{error.column_label}: {error.message}" for error in errors)
        yield csv_output.format_row([row.external_id, *(row.data.get(name) for name in fields), problem])


def _file(file_id: int) -> RecipientFile:
    return db.session.get(RecipientFile, file_id) or abort(404)


def _form_page(form: SendForm, problem: str) -> tuple[str, int]:
    return render_template("admin/sends/new.html", form=form.with_errors(InvalidInput({"file": problem}))), 422

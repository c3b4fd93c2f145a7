"""Administration → communications → exports: ask for a file of the filtered list, and download it within a day."""

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, stream_with_context, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user
from wtforms import HiddenField, RadioField, StringField

from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.core.rules.time_format import format_utc
from portal.core.translation import gettext as _
from portal.core.translation import lazy_gettext
from portal.gateways import queue
from portal.gateways.job_reports import find_jobs
from portal.records import exports
from portal.records.rules.export_formats import FORMATS
from portal.records.rules.search_line import InvalidSearch
from portal.records.tables.communication_exports import CommunicationExport, ExportState, recent_exports
from portal.web.access import allow
from portal.web.base_form import PortalForm
from portal.web.error_pages import flash_outcome
from portal.web.layout import is_sms_visible
from portal.web.polling import poll_interval_seconds
from portal.web.request_input import is_htmx_request
from portal.web.time_display import current_time_zone

pages = Blueprint("admin_exports", __name__, url_prefix="/Admin/Communications/Exports")
_LISTED = 50


class ExportForm(PortalForm):
    """The line is that of the list of communications."""

    q = HiddenField()
    format = RadioField(lazy_gettext("Format"), validate_choice=False, default="csv")
    reason = StringField(
        lazy_gettext("Reason to show phone numbers and email addresses in full"),
        description=lazy_gettext("Leave empty to mask them. The audit log keeps the reason."),
    )

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self.format.choices = {name: _(file_format.label) for name, file_format in FORMATS.items()}


@pages.get("")
@allow("admin")
def listing() -> str:
    rows = [(export, _describe_search(export.search_line)) for export in recent_exports(_LISTED)]
    return render_template("admin/communications/exports/index.html", rows=rows, formats=FORMATS)


@pages.get("/new")
@allow("admin")
def new() -> ResponseReturnValue:
    return _form_page(ExportForm(formdata=request.args))


@pages.post("")
@allow("admin")
def create() -> ResponseReturnValue:
    form = ExportForm()
    line = form.q.data or ""
    choices = line, is_sms_visible(), form.format.data or "", form.reason.data
    try:
        export_id = exports.create_export(*choices, current_time_zone().key, current_user.id, now_ms())
    except InvalidInput as error:
        return _form_page(form.with_errors(error))
    except InvalidSearch:
        return redirect(url_for("admin_communications.listing", q=line), 303)  # which says what is wrong
    return redirect(url_for(".show", export_id=export_id), 303)


@pages.get("/<id:export_id>")
@allow("admin")
def show(export_id: int) -> ResponseReturnValue:
    """One export; only its progress for htmx."""
    export = _export(export_id)
    is_pending = export.state == ExportState.PENDING
    page = render_template(
        f"admin/communications/exports/{'_progress' if is_htmx_request() else 'one'}.html",
        export=export,
        search=_describe_search(export.search_line),
        formats=FORMATS,
        jobs=find_jobs(settings().redis_url, queue.job_id(exports.JOB, export_id)),
        retry_url=lambda _job_id: url_for(".retry", export_id=export_id),
        poll_seconds=poll_interval_seconds(now_ms() - export.created_at_ms) if is_pending else None,
    )
    return page, {"Vary": "HX-Request"}


@pages.get("/<id:export_id>/file")
@allow("admin")
def download(export_id: int) -> ResponseReturnValue:
    """HEAD hands nothing out, so the audit log has no entry of it."""
    export = _export(export_id)
    if export.state != ExportState.DONE:
        flash(_("This export has no file any more. Export again."), "error")
        return redirect(url_for(".show", export_id=export_id), 303)
    file_format = FORMATS[export.format]
    if request.method == "HEAD":
        return Response(mimetype=file_format.mimetype)
    name = f"communications-{format_utc(export.created_at_ms)[:10]}-{export.id}.{export.format}"
    headers = {"Content-Disposition": f"attachment; filename={name}"}
    pieces = stream_with_context(exports.download(export, current_user.id, now_ms()))
    return Response(pieces, mimetype=file_format.mimetype, headers=headers)


@pages.post("/<id:export_id>/remove")
@allow("admin")
def remove(export_id: int) -> ResponseReturnValue:
    was_pending = _export(export_id).state == ExportState.PENDING
    with flash_outcome(_("The export is canceled.") if was_pending else _("The file is deleted.")):
        exports.remove_export(export_id, current_user.id, now_ms())
    return redirect(url_for(".show", export_id=export_id), 303)


@pages.post("/<id:export_id>/retry")
@allow("admin")
def retry(export_id: int) -> ResponseReturnValue:
    with flash_outcome(_("The export was started again.")):
        exports.retry_export(_export(export_id).id, current_user.id, now_ms())
    return redirect(url_for(".show", export_id=export_id), 303)


def _describe_search(line: str) -> str:
    return line or _("All communications")


def _export(export_id: int) -> CommunicationExport:
    return db.session.get(CommunicationExport, export_id) or abort(404)


def _form_page(form: ExportForm) -> tuple[str, int]:
    search = _describe_search(form.q.data or "")
    page = render_template("admin/communications/exports/new.html", form=form, search=search)
    return page, 422 if form.errors else 200

"""Administration → Consent → Import: opt-outs and opt-ins from files, with a preview before they are written."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal.consent.account_import import ImportRejected
from portal.consent.opt_in_import import import_opt_ins, plan_opt_ins
from portal.consent.opt_out_import import import_opt_outs, plan_opt_outs
from portal.consent.rules.consent_csv import OPT_IN_COLUMNS, OPT_OUT_COLUMNS
from portal.core.actor import Actor
from portal.core.clock import now_ms
from portal.core.errors import ActionRefused
from portal.core.rules.csv_input import MAX_CSV_ROWS, RowError
from portal.web.access import allow
from portal.web.admin.consent_import_form import ConsentImportForm
from portal.web.current_actor import current_actor

pages = Blueprint("admin_imports", __name__, url_prefix="/Admin/Consent/Import")
_MAX_FILE_BYTES = 16 * 1024 * 1024
_MAX_ROWS_LISTED = 100


@dataclass(frozen=True)
class ImportKind:
    """One kind of file, with the actions that preview and run its import."""

    endpoint: str
    title: str
    columns: Sequence[str]
    preview: Callable[[str, int], Any]
    run: Callable[[str, Actor, int], Any]


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
    "admin_imports.opt_outs_page", "Import opt-outs", OPT_OUT_COLUMNS, plan_opt_outs, import_opt_outs
)
_OPT_INS = ImportKind("admin_imports.opt_ins_page", "Import opt-ins", OPT_IN_COLUMNS, plan_opt_ins, import_opt_ins)


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


@pages.errorhandler(413)
def _file_too_large(_error: Exception) -> ResponseReturnValue:
    kind = _OPT_INS if request.endpoint == _OPT_INS.endpoint else _OPT_OUTS
    problem = "The file is larger than 16 MB. Split it and import its parts."
    page, _status = _page(kind, ImportPreview(ConsentImportForm(formdata=None), error=problem))
    return page, 413


def _handle_import(kind: ImportKind) -> ResponseReturnValue:
    form = ConsentImportForm()
    if request.method == "GET":
        return _page(kind, ImportPreview(form))
    warnings: tuple[str, ...] = ()
    try:
        warnings = form.read_file()
        text = form.text.data
        if form.confirmed.data == _digest(text):
            result = kind.run(text, current_actor(), now_ms())
            flash(result.summary, "info")
            return redirect(url_for("admin_consent.listing"), 303)
        plan = kind.preview(text, now_ms())
        return _page(kind, ImportPreview(form, (*warnings, *map(str, plan.warnings)), plan, _digest(text)))
    except ImportRejected as error:
        return _page(kind, ImportPreview(form, warnings, error=error.message, row_errors=error.row_errors))
    except ActionRefused as error:
        return _page(kind, ImportPreview(form, warnings, error=error.message))


def _digest(text: str) -> str:
    """Ties a confirmation to the previewed text. Line ends do not count, because browsers change them."""
    normalised = text.replace("\r\n", "\n").replace("\r", "\n")
    return hashlib.sha256(normalised.encode("utf-8", "replace")).hexdigest()


def _page(kind: ImportKind, preview: ImportPreview) -> tuple[str, int]:
    page = render_template(
        "admin/consent/import.html", kind=kind, preview=preview, max_listed=_MAX_ROWS_LISTED, max_rows=MAX_CSV_ROWS
    )
    return page, 422 if preview.error else 200

"""Administration → consent → import: opt-outs and opt-ins from files, looked at before they are written."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal.actions import consent_import, opt_in_import
from portal.actions.accounts import ImportRefused
from portal.actions.asker import Asker
from portal.actions.errors import Refused
from portal.clock import now_ms
from portal.domain import text_input
from portal.domain.consent_files import OPT_IN_COLUMNS, STOP_COLUMNS
from portal.domain.csv_input import MOST_ROWS, FileText, Mistake
from portal.web.access import allow
from portal.web.asking import asker
from portal.web.parsing import typed

pages = Blueprint("admin_imports", __name__, url_prefix="/Admin/Consent/Import")
_LARGEST_FILE_BYTES = 16 * 1024 * 1024
_MOST_SHOWN = 100


@dataclass(frozen=True)
class Import:
    """One kind of file: `plan` looks at it, `write` does it."""

    view: str
    title: str
    columns: Sequence[str]
    plan: Callable[[str, int], Any]
    write: Callable[[str, Asker, int], Any]


@dataclass(frozen=True)
class Looked:
    """What was found in a text: a plan to confirm by its digest, or what is wrong; and what deserves a look."""

    text: str = ""
    warnings: tuple[str, ...] = ()
    plan: Any = None
    digest: str = ""
    problem: str = ""
    mistakes: list[Mistake] = field(default_factory=list)


_STOPS = Import(
    "admin_imports.stops", "Import opt-outs", STOP_COLUMNS, consent_import.plan_stops, consent_import.import_stops
)
_OPT_INS = Import(
    "admin_imports.opt_ins",
    "Import opt-ins",
    OPT_IN_COLUMNS,
    opt_in_import.plan_opt_ins,
    opt_in_import.import_opt_ins,
)


@pages.url_value_preprocessor
def _take_large_files(_endpoint: str | None, _values: dict[str, Any] | None) -> None:
    """Before anything reads the form: 50,000 lines are more than another page takes."""
    request.max_content_length = _LARGEST_FILE_BYTES
    request.max_form_memory_size = _LARGEST_FILE_BYTES


@pages.route("/OptOuts", methods=["GET", "POST"])
@allow("admin")
def stops() -> ResponseReturnValue:
    return _answer(_STOPS)


@pages.route("/OptIns", methods=["GET", "POST"])
@allow("admin")
def opt_ins() -> ResponseReturnValue:
    return _answer(_OPT_INS)


@pages.errorhandler(413)
def _too_much(_error: Exception) -> ResponseReturnValue:
    kind = _OPT_INS if request.endpoint == _OPT_INS.view else _STOPS
    page, _status = _page(kind, Looked(problem="That is more than 16 MB at once. Split the file and import its parts."))
    return page, 413


def _answer(kind: Import) -> ResponseReturnValue:
    if request.method == "GET":
        return _page(kind, Looked())
    file = FileText("")
    try:
        file = _file()
        if typed("confirmed") == _digest(file.text):
            done = kind.write(file.text, asker(), now_ms())
            flash(done.done, "info")
            return redirect(url_for("admin_consent.listing"), 303)
        plan = kind.plan(file.text, now_ms())
        return _page(kind, Looked(file.text, _warnings(file, plan.warnings), plan, _digest(file.text)))
    except ImportRefused as error:
        return _page(kind, Looked(file.text, file.warnings, problem=error.sentence, mistakes=error.mistakes))
    except Refused as error:
        return _page(kind, Looked(file.text or typed("text"), file.warnings, problem=error.sentence))


def _warnings(file: FileText, of_rows: Sequence[Mistake]) -> tuple[str, ...]:
    return (*file.warnings, *map(str, of_rows))


def _file() -> FileText:
    """The file that was chosen, else what was pasted. Raises `Refused`."""
    upload = request.files.get("file")
    if upload is not None and upload.filename:
        return consent_import.decode(upload.read())
    return FileText(text_input.table(typed("text").replace("\r\n", "\n")))


def _digest(text: str) -> str:
    """What is confirmed is what was looked at, to the letter but for line ends, which browsers change."""
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    return hashlib.sha256(plain.encode("utf-8", "replace")).hexdigest()


def _page(kind: Import, looked: Looked) -> tuple[str, int]:
    page = render_template(
        "admin/consent/import.html", kind=kind, looked=looked, most_shown=_MOST_SHOWN, most_rows=MOST_ROWS
    )
    return page, 422 if looked.problem else 200

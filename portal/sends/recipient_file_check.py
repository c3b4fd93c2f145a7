"""Check a recipient file in a worker: each row is good, or has errors by their cells.

The rows of a batch and how far the check has come are one transaction, which belongs to one run. So a worker that dies
leaves whole batches, the next run continues behind them, and a worker that comes second stops the first one
(docs/reliability.md#recipient-files).
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

from portal.accounts.account_language import language_of_account
from portal.accounts.tables.accounts import Recipient
from portal.content.message_templates import attribute_fields, data_fields, required_fields
from portal.content.rules.merge_fields import MergeError, has_only_plain_fields
from portal.content.tables.templates import TemplateVersion
from portal.content.template_words import words_for
from portal.core.context import settings
from portal.core.coordination import RunTakenOver, begin_run, update_run
from portal.core.database_retry import giving_up_on_full_disk
from portal.core.extensions import db
from portal.core.rules.case_folding import fold_case
from portal.core.rules.csv_input import CsvError, RowError
from portal.core.rules.spreadsheets.spreadsheet_rows import open_spreadsheet
from portal.core.statements import bulk_insert, refresh_statistics
from portal.core.transaction import transaction
from portal.core.translation import N_, use_language
from portal.core.translation import gettext as _
from portal.gateways import job_reports
from portal.sends import send_values
from portal.sends.rules import recipient_rows
from portal.sends.rules.recipient_rows import ACCOUNT_COLUMN, FileColumns, RecipientCells
from portal.sends.tables import recipient_files
from portal.sends.tables.recipient_files import RecipientFile, RecipientFileState, RecipientRow, RecipientRowError

_BATCH_SIZE = 1_000
_GAVE_UP = N_("The check was tried five times and never finished. Nothing was sent.")
_DISK_FULL = N_("The disk of the database is full. Nothing was sent. Make room, then try again.")


@dataclass(frozen=True)
class _Run:
    """The rows after `checked_through` are to be checked, for the account that uploaded them."""

    file_id: int
    number: int
    checked_through: int
    account_id: int | None


@dataclass
class _Limit:
    """When a run is over. Its time begins with the first rows to check: to get there may take long in a workbook."""

    clock: Callable[[], int]
    should_stop: Callable[[], bool]
    seconds: float
    ends_ms: int | None = None

    def begin(self) -> None:
        self.ends_ms = self.ends_ms or self.clock() + round(self.seconds * 1000)

    def is_reached(self) -> bool:
        return self.should_stop() or (self.ends_ms is not None and self.clock() >= self.ends_ms)


@dataclass(frozen=True)
class _Requirements:
    """`missing` are the fields for which each row must have a value, since `data` has none for everyone.

    `is_rendered` tells whether some people's messages may fail although nothing is missing.
    """

    version: TemplateVersion
    data: Mapping[str, str]
    missing: Sequence[str]
    attributes: Collection[str]
    is_rendered: bool


@dataclass(frozen=True)
class _CheckedRow:
    """`account_id` only in the first row about an active account."""

    cells: RecipientCells
    account_id: int | None
    problems: Sequence[RowError]


def check_file(
    file_id: int, clock: Callable[[], int], should_stop: Callable[[], bool] = lambda: False, seconds: float = 20.0
) -> None:
    """Check for about `seconds`, so that other work in the queue does not wait longer; the next job continues.

    An unexpected error leaves the file pending: it is tried again, and given up after some attempts.
    """
    run = _begin_run(file_id, clock())
    if run is None:
        return
    language = language_of_account(run.account_id)
    with suppress(RunTakenOver), giving_up_on_full_disk(lambda: _fail(run, clock())), use_language(language):
        try:
            columns = _check_rows(run, _requirements_of(file_id), _Limit(clock, should_stop, seconds))
            if columns is not None:
                _end(run, clock(), state=RecipientFileState.CHECKED, **columns)
        except (CsvError, MergeError) as error:
            refused = {"state": RecipientFileState.REFUSED, "problem": str(error), "good_rows": 0, "bad_rows": 0}
            _end(run, clock(), **refused)


def _begin_run(file_id: int, now_ms: int) -> _Run | None:
    with transaction():
        file = begin_run(RecipientFile, file_id, now_ms, _GAVE_UP)
        if file is None:
            return None
        file.started_at_ms = file.started_at_ms or now_ms
        return _Run(file_id, file.run_number, file.checked_through, file.created_by_id)


def _fail(run: _Run, now_ms: int) -> None:
    """The upload stays, so that the check can be tried again."""
    with transaction():
        failed = {"state": RecipientFileState.FAILED, "problem": _DISK_FULL, "finished_at_ms": now_ms}
        update_run(RecipientFile, run.file_id, run.number, **failed)


def _requirements_of(file_id: int) -> _Requirements:
    """Raises `MergeError`."""
    file = db.session.get_one(RecipientFile, file_id)
    missing = [name for name in required_fields(file.version) if not file.data.get(name)]
    all_words = file.version.all_words
    is_plain = all(has_only_plain_fields(source) for words in all_words for source in (words.subject, words.body))
    attributes = attribute_fields(file.version)
    return _Requirements(file.version, file.data, missing, attributes, bool(attributes) or not is_plain)


def _check_rows(run: _Run, needs: _Requirements, limit: _Limit) -> dict[str, Any] | None:
    """What is known of the file as a whole; None if the run was over before. Raises `CsvError`."""
    fields, through = data_fields(needs.version), run.checked_through
    sheet = open_spreadsheet(recipient_files.content_of(run.file_id), recipient_rows.likely_headings(fields))
    columns = recipient_rows.match_columns(sheet.header_row, sheet.header, fields, needs.missing)
    records = ((row, cells) for row, cells in sheet.records if row > run.checked_through)
    while batch := list(islice(records, _BATCH_SIZE)):
        limit.begin()
        _write_batch(run, _checked_rows(run, needs, columns, batch))
        through = batch[-1][0]
        job_reports.report_progress(settings().redis_url, through, max(sheet.row_estimate, through), "rows")
        if limit.is_reached():
            return None
    if not through:
        raise CsvError(_("The file has headings but no rows."))
    return {"fields": list(columns.fields), "warnings": [*sheet.warnings, *_unused_warnings(columns)]}


def _checked_rows(
    run: _Run, needs: _Requirements, columns: FileColumns, batch: Sequence[tuple[int, list[str]]]
) -> list[_CheckedRow]:
    rows = [recipient_rows.read_row(row, cells, columns, needs.missing) for row, cells in batch]
    people = recipient_files.people_by_number([row.external_id for row in rows], needs.attributes)
    first_rows = recipient_files.rows_by_account(run.file_id, [person.id for person, _is_active in people.values()])
    checked = []
    for row in rows:
        person, is_active = people.get(fold_case(row.external_id), (None, False))
        account_id, problems = None, list(row.errors)
        if person is None or not is_active:
            account_problem = _account_problem(row.external_id, person is not None)
        elif (first_row := first_rows.setdefault(person.id, row.row_number)) != row.row_number:
            account_problem = _duplicate_problem(person.external_id, first_row)
        else:
            account_id, account_problem = person.id, ""
        if account_problem and row.external_id:
            problems.append(RowError(row.row_number, columns.label(ACCOUNT_COLUMN), account_problem))
        if person is not None and not problems:
            problems += _message_problems(needs, columns, row, person)
        checked.append(_CheckedRow(row, account_id, problems))
    return checked


def _message_problems(
    needs: _Requirements, columns: FileColumns, row: RecipientCells, person: Recipient
) -> list[RowError]:
    """Why this person's message cannot be made."""
    if not needs.is_rendered:
        return []
    words = words_for(needs.version.all_words, person.language)
    error = send_values.render_error(words, send_values.recipient_values(person, {**needs.data, **row.data}))
    if error is None:
        return []
    return [RowError(row.row_number, columns.label(error.field_name.removeprefix("data.")), error.text)]


def _account_problem(external_id: str, exists: bool) -> str:
    if exists:
        return _("The account %(account)s is deactivated, so it gets nothing.", account=external_id)
    return _("There is no account with the number %(account)s.", account=external_id[:60])


def _duplicate_problem(external_id: str, first_row: int) -> str:
    return _("%(account)s is already in row %(row)s.", account=external_id, row=str(first_row))


def _unused_warnings(columns: FileColumns) -> list[str]:
    if not columns.unused:
        return []
    return [_("The template does not use these columns: %(columns)s.", columns=", ".join(columns.unused[:20]))]


def _write_batch(run: _Run, batch: Sequence[_CheckedRow]) -> None:
    rows = [
        {
            "file_id": run.file_id,
            "row_number": row.cells.row_number,
            "account_id": row.account_id,
            "is_good": int(not row.problems),
            "external_id": row.cells.external_id,
            "data": json.dumps(row.cells.data, sort_keys=True, ensure_ascii=False),
        }
        for row in batch
    ]
    errors = [
        {"file_id": run.file_id, "row_number": error.row, "column_label": error.column, "message": error.message}
        for row in batch
        for error in row.problems
    ]
    good, through = sum(not row.problems for row in batch), batch[-1].cells.row_number
    counts = {"good_rows": RecipientFile.good_rows + good, "bad_rows": RecipientFile.bad_rows + len(batch) - good}
    with transaction():
        update_run(RecipientFile, run.file_id, run.number, checked_through=through, attempts=0, **counts)
        bulk_insert(RecipientRow, rows, ["file_id", "row_number"])
        bulk_insert(RecipientRowError, errors, ["file_id", "row_number", "column_label"])


def _end(run: _Run, now_ms: int, **columns: Any) -> None:
    with transaction():
        update_run(RecipientFile, run.file_id, run.number, content=None, finished_at_ms=now_ms, **columns)
        if columns["state"] == RecipientFileState.REFUSED:
            recipient_files.delete_rows(run.file_id)
        refresh_statistics(RecipientRow)

"""Opt-outs and opt-ins read from files."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from functools import partial

from portal.accounts.rules.phone_cells import parse_phone_cell
from portal.core.rules import csv_input, text_input
from portal.core.rules.case_folding import fold_case
from portal.core.rules.csv_input import CsvResult, CsvRow, RowError
from portal.core.rules.time_format import ParsedTime, TimeFormatError, parse_time
from portal.core.translation import gettext as _

OPT_OUT_COLUMNS = ("phone", "stopped_at", "reason")
OPT_IN_COLUMNS = ("external_id", "phone", "opted_in_at", "evidence")
MAX_TEXT_LENGTH = 1_000
"""Characters of a reason or of evidence."""


@dataclass(frozen=True)
class OptOutRow:
    """`row` counts like a spreadsheet; `at_ms` is None if the file gives no time.

    If only the `day` is known, the opt-out counts from its end, so that STOP wins over a START of the same day
    (docs/consent-rules.md#opt-outs-by-other-ways).
    """

    row: int
    number: str
    at_ms: int | None
    reason: str
    day: str = ""


@dataclass(frozen=True)
class OptInRow:
    row: int
    external_id: str
    number: str
    at_ms: int
    evidence: str
    day: str = ""


def read_opt_outs(text: str, region: str, now_ms: int) -> CsvResult[OptOutRow]:
    """Read one phone number per line, or a CSV whose header names `OPT_OUT_COLUMNS` (only phone is required).

    Raises `CsvError` if the text as a whole cannot be read.
    """
    read_row = partial(_read_opt_out, region=region, now_ms=now_ms)
    if not csv_input.has_column(text, "phone"):
        return csv_input.read_list(text, "phone", read_row)
    return csv_input.read_table(text, OPT_OUT_COLUMNS, ("phone",), read_row)


def read_opt_ins(text: str, region: str, now_ms: int) -> CsvResult[OptInRow]:
    """Read a CSV whose header names `OPT_IN_COLUMNS`. Raises `CsvError` if the text as a whole cannot be read."""
    read_row = partial(_read_opt_in, region=region, now_ms=now_ms)
    result = csv_input.read_table(text, OPT_IN_COLUMNS, OPT_IN_COLUMNS, read_row)
    errors = sorted([*result.errors, *_duplicate_row_errors(result.rows)], key=lambda error: error.row)
    return replace(result, errors=errors)


def _read_opt_out(cells: CsvRow, region: str, now_ms: int) -> OptOutRow:
    number, stopped_at = _phone_cell(cells, region), _time_cell(cells, "stopped_at", now_ms)
    at_ms, day = (stopped_at.latest_ms(now_ms), stopped_at.day) if stopped_at else (None, "")
    return OptOutRow(cells.row_number, number, at_ms, _text_cell(cells, "reason"), day)


def _read_opt_in(cells: CsvRow, region: str, now_ms: int) -> OptInRow:
    external_id, number = text_input.clean_code(cells["external_id"]), _phone_cell(cells, region)
    opted_in_at, evidence = _time_cell(cells, "opted_in_at", now_ms), _text_cell(cells, "evidence")
    if not external_id:
        cells.add_error("external_id", _("Give the account number of the person who opted in."))
    if not cells["opted_in_at"]:
        cells.add_error("opted_in_at", _("Give a time like 2026-03-01T14:30:00Z, or a day like 2026-03-01."))
    if not evidence:
        cells.add_error("evidence", _("Say how the person agreed, for example: paper form of March 3, on file."))
    at_ms, day = (opted_in_at.at_ms, opted_in_at.day) if opted_in_at else (0, "")
    return OptInRow(cells.row_number, external_id, number, at_ms, evidence, day)


def _phone_cell(cells: CsvRow, region: str) -> str:
    """A spreadsheet may have put an apostrophe before the plus."""
    text = cells["phone"].strip(" '\"")
    if any(mark in text for mark in ",;\t|"):
        cells.add_error("phone", _("Write one number per line, or name the columns in row 1: phone,stopped_at,reason."))
        return ""
    return parse_phone_cell(cells, "phone", text, region)


def _time_cell(cells: CsvRow, column: str, now_ms: int) -> ParsedTime | None:
    text = text_input.clean_code(cells[column])
    try:
        return parse_time(text, UTC, now_ms) if text else None
    except TimeFormatError as error:
        cells.add_error(column, str(error))
        return None


def _text_cell(cells: CsvRow, column: str) -> str:
    text = text_input.clean_lines(cells[column]).strip()
    if len(text) > MAX_TEXT_LENGTH:
        cells.add_error(
            column, _("Keep it to %(limit)s characters; this has %(count)s.", limit=MAX_TEXT_LENGTH, count=len(text))
        )
    return text


def _duplicate_row_errors(rows: Sequence[OptInRow]) -> list[RowError]:
    first_rows: dict[tuple[str, str], int] = {}
    errors = []
    for row in rows:
        first_row = first_rows.setdefault((fold_case(row.external_id), row.number), row.row)
        if first_row != row.row:
            message = _(
                "%(account)s with this number is already in row %(row)s.", account=row.external_id, row=first_row
            )
            errors.append(RowError(row.row, "phone", message))
    return errors

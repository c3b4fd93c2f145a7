"""Files of consent: opt-outs and opt-ins as they come in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC

from portal.accounts.rules.phone_cells import parse_phone_cell
from portal.core.rules import csv_input, text_input
from portal.core.rules.case_folding import fold_case
from portal.core.rules.csv_input import CsvResult, CsvRow, RowError
from portal.core.rules.time_format import ParsedTime, TimeFormatError, parse_time

OPT_OUT_COLUMNS = ("phone", "stopped_at", "reason")
OPT_IN_COLUMNS = ("external_id", "phone", "opted_in_at", "evidence")
MAX_TEXT_LENGTH = 1_000
"""Characters of a reason or of evidence."""


@dataclass(frozen=True)
class OptOutRow:
    """`row` as a spreadsheet counts; `at_ms` is None where the file does not say when.

    Where it says no more than the `day`, the opt-out counts from the end of it: it may have come after a START of that
    day, and a STOP wins where nobody knows.
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
    """A number a line, or a CSV whose first row names `OPT_OUT_COLUMNS` (only phone must be there).

    Raises `CsvError` when the text as a whole cannot be read.
    """
    if not csv_input.has_column(text, "phone"):
        return csv_input.read_list(text, "phone", _opt_out_reader(region, now_ms))
    return csv_input.read_table(text, OPT_OUT_COLUMNS, ("phone",), _opt_out_reader(region, now_ms))


def read_opt_ins(text: str, region: str, now_ms: int) -> CsvResult[OptInRow]:
    """A CSV whose first row names `OPT_IN_COLUMNS`. Raises `CsvError` when it cannot be read as a whole."""
    found = csv_input.read_table(text, OPT_IN_COLUMNS, OPT_IN_COLUMNS, _opt_in_reader(region, now_ms))
    mistakes = sorted([*found.errors, *_duplicate_row_errors(found.rows)], key=lambda mistake: mistake.row)
    return replace(found, errors=mistakes)


def _opt_out_reader(region: str, now_ms: int) -> Callable[[CsvRow], OptOutRow]:
    def read(cells: CsvRow) -> OptOutRow:
        number, said = _phone_cell(cells, region), _time_cell(cells, "stopped_at", now_ms)
        return OptOutRow(
            row=cells.row_number,
            number=number,
            at_ms=said.latest_ms(now_ms) if said else None,
            reason=_text_cell(cells, "reason"),
            day=said.day if said else "",
        )

    return read


def _opt_in_reader(region: str, now_ms: int) -> Callable[[CsvRow], OptInRow]:
    def read(cells: CsvRow) -> OptInRow:
        external_id, number = text_input.clean_code(cells["external_id"]), _phone_cell(cells, region)
        said, evidence = _time_cell(cells, "opted_in_at", now_ms), _text_cell(cells, "evidence")
        if not external_id:
            cells.add_error("external_id", "Whose opt-in is it? Give the account's number.")
        if not cells["opted_in_at"]:
            cells.add_error("opted_in_at", "Say when, like 2026-03-01T14:30:00Z, or on which day, like 2026-03-01.")
        if not evidence:
            cells.add_error("evidence", "Say how the person agreed, such as: paper form of 3 March, in the file.")
        return OptInRow(
            cells.row_number, external_id, number, said.at_ms if said else 0, evidence, said.day if said else ""
        )

    return read


def _phone_cell(cells: CsvRow, region: str) -> str:
    """A spreadsheet may have put an apostrophe before the plus."""
    typed = cells["phone"].strip(" '\"")
    if any(mark in typed for mark in ",;\t|"):
        cells.add_error("phone", "One number a line; or name the columns in row 1: phone,stopped_at,reason.")
        return ""
    return parse_phone_cell(cells, "phone", typed, region)


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
        cells.add_error(column, f"Keep it to {MAX_TEXT_LENGTH:,} characters; this has {len(text):,}.")
    return text


def _duplicate_row_errors(rows: Sequence[OptInRow]) -> list[RowError]:
    first: dict[tuple[str, str], int] = {}
    mistakes = []
    for row in rows:
        key = fold_case(row.external_id), row.number
        if key in first:
            mistakes.append(
                RowError(row.row, "phone", f"{row.external_id} with this number is in row {first[key]:,} already.")
            )
        first.setdefault(key, row.row)
    return mistakes

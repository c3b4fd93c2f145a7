"""The rows of a CSV file or an .xlsx workbook, one after the other."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from portal.core.rules import csv_input, csv_output
from portal.core.rules.csv_input import CsvError, DecodedFile
from portal.core.rules.spreadsheets import csv_records, workbook_input
from portal.core.translation import gettext as _

_PROGRESS_ROWS = 1_000


@dataclass(frozen=True)
class SpreadsheetRows:
    """`header_row` is the number of the first row that is not blank; `records` are the later ones.

    `row_estimate` is about their number, for the display of progress.
    """

    header_row: int
    header: list[str]
    records: Iterator[tuple[int, list[str]]]
    row_estimate: int
    warnings: tuple[str, ...] = ()


def open_spreadsheet(raw: bytes, columns: Sequence[str]) -> SpreadsheetRows:
    """`columns` are names of which the header should have some. Raises `CsvError`, and so may reading the records."""
    if workbook_input.is_workbook(raw):
        row_estimate, records = workbook_input.open_first_sheet(raw)
        return _with_header(records, row_estimate)
    records, warnings = csv_records.open_csv_records(raw, columns)
    return _with_header(records, raw.count(b"\n"), warnings)


def _with_header(
    records: Iterator[tuple[int, list[str]]], row_estimate: int, warnings: tuple[str, ...] = ()
) -> SpreadsheetRows:
    header_row, header = next(records, (1, []))
    if not header:
        raise CsvError(_("The file is empty."))
    return SpreadsheetRows(header_row, header, records, row_estimate, warnings)


def decode_spreadsheet(raw: bytes, progress: Callable[[int, int], None] = lambda _row, _rows: None) -> DecodedFile:
    """The text of a CSV; of a workbook, the CSV that a spreadsheet program would save. Raises `CsvError`.

    `progress` is told now and then which row of about how many has been read.
    """
    is_workbook = workbook_input.is_workbook(raw)
    return csv_input.decode_csv(b"".join(_csv_lines(raw, progress)) if is_workbook else raw)


def _csv_lines(raw: bytes, progress: Callable[[int, int], None]) -> Iterator[bytes]:
    """With a blank line for each blank row, so that rows keep their numbers."""
    previous = 0
    row_estimate, records = workbook_input.open_first_sheet(raw)
    for row, cells in records:
        if row % _PROGRESS_ROWS == 0:
            progress(row, max(row_estimate, row))
        yield ("\r\n" * (row - previous - 1) + csv_output.format_row(cells)).encode()
        previous = row


def column_letter(index: int) -> str:
    """How a spreadsheet names the column at this index: 0 is A, 26 is AA."""
    letters = ""
    index += 1
    while index:
        index, remainder = divmod(index - 1, 26)
        letters = chr(ord("A") + remainder) + letters
    return letters

"""Read CSV files as any spreadsheet writes them, row by row, and reports every error by its cell.

Accepted are: cells separated by commas, semicolons, tabs or bars, a first line `sep=;`, blank lines, empty trailing
columns and cells, any line ending, quoted line endings; UTF-8 with or without a byte order mark, UTF-16 with one, and
Windows-1252 with a warning.
"""

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Generic, TypeVar

from portal.core.errors import ActionRefused
from portal.core.rules import text_input
from portal.core.rules.csv_output import unescape_formulas
from portal.core.translation import N_
from portal.core.translation import gettext as _

MAX_CSV_ROWS = 200_000
"""More rows would make a page wait too long; a file can be split."""
MAX_ROW_ERRORS = 1_000
"""Nobody reads more errors than that, and finding them takes time."""
_DELIMITERS = (",", ";", "\t", "|")
_SEP_LINE = re.compile(r'\s*"?sep=([^\r\n"])"?[,;\t| ]*(?:\r\n|\n|\r|\Z)', re.IGNORECASE)
_VALUE_SEPARATOR = re.compile(r"[\"']*[,;|\t][\"' ]*")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_DOUBLED_LINE_END = re.compile(r"\r\r\n")
MAX_HEADER_LINES, _MAX_HEADER_SIZE = 100, 1_000_000
_MAX_COLUMNS = 1_000
_UTF_32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
WORKBOOK_SIGNATURES = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_SAVE_AS = N_("Save it as “CSV UTF-8”.")
Row = TypeVar("Row")


class CsvError(ActionRefused):
    """The file as a whole cannot be read; the message says why and what to do."""


@dataclass(frozen=True)
class RowError:
    """An error or a warning about one cell. `row` counts as a spreadsheet does: the header is usually row 1."""

    row: int
    column: str
    message: str

    def __str__(self) -> str:
        return _("Row %(row)s, %(column)s: %(message)s", row=self.row, column=self.column, message=self.message)


@dataclass(frozen=True)
class DecodedFile:
    """The text of a file, and warnings about what may have been decoded wrongly."""

    text: str
    warnings: tuple[str, ...] = ()


@dataclass
class CsvRow:
    """The values of one row by column (a missing column is empty), with its errors and warnings."""

    row_number: int
    values: Mapping[str, str]
    errors: list[RowError] = field(default_factory=list)
    warnings: list[RowError] = field(default_factory=list)

    def __getitem__(self, column: str) -> str:
        return self.values.get(column, "")

    def add_error(self, column: str, message: str | None) -> None:
        if message:
            self.errors.append(RowError(self.row_number, column, message))

    def add_warning(self, column: str, message: str) -> None:
        self.warnings.append(RowError(self.row_number, column, message))


@dataclass(frozen=True)
class CsvResult(Generic[Row]):
    """The valid rows, all errors, and warnings about the valid rows.

    Reading stopped at row `stopped_at_row` because there were too many errors; None if all rows were read.
    """

    rows: list[Row]
    errors: list[RowError]
    warnings: list[RowError]
    stopped_at_row: int | None = None


def decode_csv(raw: bytes) -> DecodedFile:
    """Raises `CsvError` if the file is not text."""
    decoded = _decode_text(raw)
    text = text_input.clean_csv(_DOUBLED_LINE_END.sub("\r\n", decoded.text))
    if not text.strip():
        raise CsvError(_("The file is empty."))
    return replace(decoded, text=text)


def _decode_text(raw: bytes) -> DecodedFile:
    if raw.startswith(WORKBOOK_SIGNATURES):
        raise CsvError(
            _("This is a workbook, not a CSV. Open it in a spreadsheet program. %(save_as)s", save_as=_(_SAVE_AS))
        )
    encoding = encoding_at_start(raw)
    if encoding == "utf-8" and b"\x00" in raw:
        raise CsvError(_("The file contains binary data, so it is not a CSV. %(save_as)s", save_as=_(_SAVE_AS)))
    try:
        return DecodedFile(raw.decode(encoding))
    except UnicodeDecodeError as error:
        if encoding == "utf-8":
            return _decode_windows_1252(raw, error)
        raise CsvError(
            _(
                "The file starts as %(encoding)s but is damaged further on. %(save_as)s",
                encoding=encoding.upper(),
                save_as=_(_SAVE_AS),
            )
        ) from error


def encoding_at_start(raw: bytes) -> str:
    return "utf-32" if raw.startswith(_UTF_32) else "utf-16" if raw.startswith(_UTF_16) else "utf-8"


def has_column(text: str, column: str) -> bool:
    return any(column in names for names in _first_rows(split_sep_line(text)[0]).values())


def read_table(
    text: str,
    columns: Sequence[str],
    required: Sequence[str],
    read_row: Callable[[CsvRow], Row],
    progress: Callable[[int], None] = lambda _row: None,
) -> CsvResult[Row]:
    """Read the rows below a header; `read_row` adds the errors of a row to it. Raises `CsvError`."""
    records = open_records(text, columns)
    row, cells = next(records, (1, []))
    names = read_header(row, cells, columns, required)
    return _read_rows((make_row(row, cells, names) for row, cells in records), read_row, progress)


def open_records(text: str, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """The number and the cells of each row that is not blank, the header first, as they are needed.

    Some of `columns` should be in the header: they tell by what its cells are separated. Raises `CsvError`.
    """
    body, declared = split_sep_line(text)
    delimiter = declared or detect_delimiter(body, columns)
    _check_row_count(body, delimiter)
    return parse_records(_open_lines(body), delimiter)


def read_list(text: str, column: str, read_row: Callable[[CsvRow], Row]) -> CsvResult[Row]:
    """Read one value per line, quoted or not, as the only column. Raises `CsvError`."""
    lines = split_sep_line(text)[0].splitlines()
    if len(lines) > MAX_CSV_ROWS and sum(not _is_blank([line]) for line in lines) > MAX_CSV_ROWS:
        raise too_many_rows()
    values = ((row, _clean_value(line)) for row, line in enumerate(lines, 1))
    return _read_rows((CsvRow(row, {column: value}) for row, value in values if value), read_row, lambda _row: None)


def read_values(text: str, column: str) -> list[str]:
    """The distinct values of `column` if the text is a table that has it, else all values on its lines.

    Raises `CsvError`.
    """
    if has_column(text, column):
        body, declared = split_sep_line(text)
        names = _first_rows(body)[declared or detect_delimiter(body, (column,))]
        values = read_table(text, [*names, column], (column,), lambda row: row[column]).rows
    else:
        values = [value for line in text.splitlines() for value in _VALUE_SEPARATOR.split(_clean_value(line))]
    return list(dict.fromkeys(filter(None, map(text_input.clean_code, values))))


def _read_rows(
    rows: Iterable[CsvRow], read_row: Callable[[CsvRow], Row], progress: Callable[[int], None]
) -> CsvResult[Row]:
    result: CsvResult[Row] = CsvResult([], [], [])
    for row in rows:
        progress(row.row_number)
        value = read_row(row) if not row.errors else None
        result.errors.extend(row.errors)
        if value is not None and not row.errors:
            result.rows.append(value)
            result.warnings.extend(row.warnings)
        if len(result.errors) >= MAX_ROW_ERRORS:
            return replace(result, stopped_at_row=row.row_number)
    return result


def _decode_windows_1252(raw: bytes, error: UnicodeDecodeError) -> DecodedFile:
    row = raw.count(b"\n", 0, error.start) + 1
    try:
        text = raw.decode("cp1252")
    except UnicodeDecodeError:
        raise CsvError(_("Row %(row)s is not UTF-8. Save the file as “CSV UTF-8”.", row=row)) from error
    word = next((word for word in re.split(r"[\s,;|\"]+", text[error.start - 40 :]) if not word.isascii()), "")
    warning = _(
        "The file is not UTF-8, so it was read as Windows-1252. Check names with accents, such as “%(word)s” in line "
        "%(row)s; if they are wrong, save the file as “CSV UTF-8” and import that.",
        word=word[:60],
        row=row,
    )
    return DecodedFile(text, (warning,))


def split_sep_line(text: str) -> tuple[str, str]:
    """The text after a line such as `sep=;`, which declares the delimiter to spreadsheets, and that delimiter."""
    match = _SEP_LINE.match(text)
    return (text[match.end() :], match[1]) if match else (text, "")


def detect_delimiter(text: str, columns: Sequence[str]) -> str:
    """The delimiter by which the first row names most of the columns, else by which it has most cells."""
    rows = _first_rows(text)
    return max(_DELIMITERS, key=lambda delimiter: (len(set(columns) & set(rows[delimiter])), len(rows[delimiter])))


def _first_rows(text: str) -> dict[str, list[str]]:
    """The names in the first row that is not blank, by delimiter."""
    head = "".join(islice(io.StringIO(text[:_MAX_HEADER_SIZE], newline=""), MAX_HEADER_LINES))
    names = {}
    for delimiter in _DELIMITERS:
        try:
            rows = csv.reader(io.StringIO(head, newline=""), delimiter=delimiter)
            names[delimiter] = next((_normalise_names(cells) for cells in rows if not _is_blank(cells)), [])
        except csv.Error:
            names[delimiter] = []
    return names


def _is_blank(cells: Iterable[str]) -> bool:
    """True for a row of delimiters only, whichever they are."""
    return not any(cell.strip(" ,;|\t\r\n") for cell in cells)


def _normalise_names(cells: Iterable[str]) -> list[str]:
    """The names, cut off at a limit, because a row may have millions of cells."""
    return [text_input.clean_code(cell).lower() for cell in islice(cells, _MAX_COLUMNS)]


def parse_records(lines: Iterable[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The row number and the cells of each row that is not blank, without empty trailing cells."""
    row = 0
    try:
        for row, cells in enumerate(csv.reader(lines, strict=True, delimiter=delimiter), 1):
            while cells and not cells[-1].strip():
                cells.pop()
            if not _is_blank(cells):
                yield row, [unescape_formulas(cell.strip()) for cell in cells]
    except csv.Error as error:
        raise CsvError(
            _("Row %(row)s cannot be read as CSV. Check its quotation marks. (%(error)s)", row=row + 1, error=error)
        ) from error


def _open_lines(text: str) -> Iterator[str]:
    """The lines with their ends, without a copy of the text: `StringIO` would take four bytes for each character."""
    return (match[0] for match in _LINE.finditer(text))


def _check_row_count(text: str, delimiter: str) -> None:
    """Count the rows of a long text before they are read one by one."""
    if text.count("\n") + text.count("\r") <= MAX_CSV_ROWS:
        return
    if sum(1 for _row in islice(parse_records(_open_lines(text), delimiter), MAX_CSV_ROWS + 2)) > MAX_CSV_ROWS + 1:
        raise too_many_rows()


def too_many_rows() -> CsvError:
    return CsvError(
        _(
            "The file has more than %(limit)s rows. Split it and import the parts one after the other.",
            limit=MAX_CSV_ROWS,
        )
    )


def read_header(row: int, cells: Sequence[str], columns: Sequence[str], required: Sequence[str]) -> list[str]:
    """The column names; a column without a name is allowed while its cells are empty."""
    names = _normalise_names(cells)
    named = [name for name in names if name]
    missing = [column for column in required if column not in named]
    unknown = [name for name in named if name not in columns]
    if missing or unknown or len(set(named)) < len(named):
        has_duplicates = not unknown and len(set(named)) < len(named)
        problems = [_list_names(missing, unknown), _("duplicates") if has_duplicates else ""]
        values = {"row": row, "details": "; ".join(filter(None, problems)), "columns": ",".join(columns)}
        if len(required) == 1:
            raise CsvError(
                _("The columns in row %(row)s are wrong (%(details)s). Allowed columns: %(columns)s.", **values)
            )
        raise CsvError(
            _("The columns in row %(row)s are wrong (%(details)s). The columns must be: %(columns)s.", **values)
        )
    return names


def _list_names(missing: Sequence[str], unknown: Sequence[str]) -> str:
    names = ", ".join(name[:40] for name in unknown[:5])
    if len(unknown) > 5:
        names = _("%(names)s and %(count)s more", names=names, count=len(unknown) - 5)
    parts = (
        _("missing: %(names)s", names=", ".join(missing)) if missing else "",
        _("unknown: %(names)s", names=names) if unknown else "",
    )
    return "; ".join(filter(None, parts))


def make_row(row: int, cells: Sequence[str], names: Sequence[str]) -> CsvRow:
    """The values of a row by the `names` of the columns, with an error for each cell outside of them."""
    csv_row = CsvRow(row, {name: cell for name, cell in zip(names, cells, strict=False) if name})
    if len(cells) > len(names):
        csv_row.add_error(
            _("whole row"),
            _("There are %(cells)s cells for %(columns)s columns.", cells=len(cells), columns=len(names)),
        )
    for column, (name, cell) in enumerate(zip(names, cells, strict=False), 1):
        if cell and not name:
            csv_row.add_error(
                _("column %(number)s", number=column),
                _("This column has no name in the header. Name it or clear the cell."),
            )
    return csv_row


def _clean_value(line: str) -> str:
    """A line of a list without quotes and without the delimiters that a spreadsheet adds after a single column."""
    return unescape_formulas(line.rstrip(",;|\t ").strip(" \"'"))

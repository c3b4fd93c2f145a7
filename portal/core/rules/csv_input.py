"""Tables that come in as text: what any spreadsheet calls a CSV, read row by row, every mistake named by its cell.

Read are: commas, semicolons, tabs and bars between cells, a line `sep=;` before them, blank lines, empty columns and
cells at the end, any line end, line ends in quotes; UTF-8 with or without byte-order marks, UTF-16 with one, and
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

from portal.core.rules import text_input
from portal.core.rules.csv_output import unescape_formulas

MAX_CSV_ROWS = 200_000
"""More at once would keep a page waiting too long; a file can be split."""
MAX_ROW_ERRORS = 1_000
"""Nobody reads more of them, and finding them costs time."""
_DELIMITERS = (",", ";", "\t", "|")
_SEP_LINE = re.compile(r'\s*"?sep=([^\r\n"])"?[,;\t| ]*(?:\r\n|\n|\r|\Z)', re.IGNORECASE)
_VALUE_SEPARATOR = re.compile(r"[\"']*[,;|\t][\"' ]*")
_DOUBLED_LINE_END = re.compile(r"\r\r\n")
_MAX_HEADER_LINES = 100
_MAX_COLUMNS = 1_000
_UTF_32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_WORKBOOK_SIGNATURES = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_SAVE_AS = "Save it as “CSV UTF-8”."
Row = TypeVar("Row")


class CsvError(ValueError):
    """The file as a whole cannot be read; the text says why and what to do."""


@dataclass(frozen=True)
class RowError:
    """Something about one cell, wrong or worth a look. `row` as a spreadsheet counts: the header is mostly row 1."""

    row: int
    column: str
    message: str

    def __str__(self) -> str:
        return f"Row {self.row:,}, {self.column}: {self.message}"


@dataclass(frozen=True)
class DecodedFile:
    """What a file says, and what to look at because it may have been read wrongly."""

    text: str
    warnings: tuple[str, ...] = ()


@dataclass
class CsvRow:
    """One row by its columns, and what there is to say about it. A column that is not there is empty."""

    row_number: int
    values: Mapping[str, str]
    errors: list[RowError] = field(default_factory=list)
    warnings: list[RowError] = field(default_factory=list)

    def __getitem__(self, column: str) -> str:
        return self.values.get(column, "")

    def add_error(self, column: str, sentence: str | None) -> None:
        if sentence:
            self.errors.append(RowError(self.row_number, column, sentence))

    def add_warning(self, column: str, sentence: str) -> None:
        self.warnings.append(RowError(self.row_number, column, sentence))


@dataclass(frozen=True)
class CsvResult(Generic[Row]):
    """All good rows, all mistakes, and what was let through but deserves a look.

    Behind the row `stopped_at_row` nothing was read, since there were mistakes enough.
    """

    rows: list[Row]
    errors: list[RowError]
    warnings: list[RowError]
    stopped_at_row: int | None = None


def decode_csv(raw: bytes) -> DecodedFile:
    """The text of a file. Raises `CsvError` for what is no text."""
    found = _decode_text(raw)
    if not found.text.strip():
        raise CsvError("The file is empty.")
    return found


def _decode_text(raw: bytes) -> DecodedFile:
    if raw.startswith(_WORKBOOK_SIGNATURES):
        raise CsvError(f"This is a workbook, not a CSV. Open it in a spreadsheet program. {_SAVE_AS}")
    if raw.startswith((*_UTF_32, *_UTF_16)):
        return DecodedFile(_clean_text(_decode_utf(raw)))
    if b"\x00" in raw:
        raise CsvError(f"The file holds null bytes, so it is not a CSV. {_SAVE_AS}")
    try:
        return DecodedFile(_clean_text(raw.decode("utf-8")))
    except UnicodeDecodeError as error:
        return _decode_windows_1252(raw, error)


def has_column(text: str, column: str) -> bool:
    """Whether the first row names the column."""
    return any(column in names for names in _first_rows(_without_sep_line(text)[0]).values())


def read_table(
    text: str,
    columns: Sequence[str],
    required: Sequence[str],
    read_row: Callable[[CsvRow], Row],
    progress: Callable[[int], None] = lambda _row: None,
) -> CsvResult[Row]:
    """The rows below a header. `read_row` says what is wrong with one. Raises `CsvError`."""
    body, told = _without_sep_line(text)
    mark = told or _detect_delimiter(body, columns)
    _check_row_count(body, mark)
    records = _parse_records(body, mark)
    row, cells = next(records, (1, []))
    names = _read_header(row, cells, columns, required)
    return _read_rows((_make_row(row, cells, names) for row, cells in records), read_row, progress)


def read_list(text: str, column: str, read_row: Callable[[CsvRow], Row]) -> CsvResult[Row]:
    """A value a line, quoted or not, as the only column. Raises `CsvError`."""
    lines = _without_sep_line(text)[0].splitlines()
    if len(lines) > MAX_CSV_ROWS and sum(not _is_blank([line]) for line in lines) > MAX_CSV_ROWS:
        raise _too_many_rows()
    values = ((row, _clean_value(line)) for row, line in enumerate(lines, 1))
    return _read_rows((CsvRow(row, {column: value}) for row, value in values if value), read_row, lambda _row: None)


def read_values(text: str, column: str) -> list[str]:
    """What a list names, each once: a column of a table that has it, else all that stands on its lines.

    Raises `CsvError`.
    """
    if has_column(text, column):
        body, told = _without_sep_line(text)
        names = _first_rows(body)[told or _detect_delimiter(body, (column,))]
        found = read_table(text, [*names, column], (column,), lambda cells: cells[column]).rows
    else:
        found = [value for line in text.splitlines() for value in _VALUE_SEPARATOR.split(_clean_value(line))]
    return list(dict.fromkeys(filter(None, map(text_input.clean_code, found))))


def _read_rows(
    rows: Iterable[CsvRow], read_row: Callable[[CsvRow], Row], progress: Callable[[int], None]
) -> CsvResult[Row]:
    found: CsvResult[Row] = CsvResult([], [], [])
    for cells in rows:
        progress(cells.row_number)
        result = read_row(cells) if not cells.errors else None
        found.errors.extend(cells.errors)
        if result is not None and not cells.errors:
            found.rows.append(result)
            found.warnings.extend(cells.warnings)
        if len(found.errors) >= MAX_ROW_ERRORS:
            return replace(found, stopped_at_row=cells.row_number)
    return found


def _decode_utf(raw: bytes) -> str:
    name = "utf-32" if raw.startswith(_UTF_32) else "utf-16"
    try:
        return raw.decode(name)
    except UnicodeDecodeError as error:
        raise CsvError(f"The file begins as {name.upper()} and is broken further on. {_SAVE_AS}") from error


def _decode_windows_1252(raw: bytes, error: UnicodeDecodeError) -> DecodedFile:
    row = raw.count(b"\n", 0, error.start) + 1
    try:
        text = raw.decode("cp1252")
    except UnicodeDecodeError:
        raise CsvError(f"Row {row:,} is not UTF-8. Save the file as “CSV UTF-8”.") from error
    word = next((word for word in re.split(r"[\s,;|\"]+", text[error.start - 40 :]) if not word.isascii()), "")
    return DecodedFile(
        _clean_text(text),
        (
            f"The file is not UTF-8, so it was read as Windows-1252. Check names with accents, such as “{word[:60]}” "
            f"in line {row:,}; if they are wrong, save the file as “CSV UTF-8” and import that.",
        ),
    )


def _clean_text(text: str) -> str:
    return text_input.clean_csv(_DOUBLED_LINE_END.sub("\r\n", text))


def _without_sep_line(text: str) -> tuple[str, str]:
    """The text after a line such as `sep=;`, which tells spreadsheets what parts cells; and that mark."""
    found = _SEP_LINE.match(text)
    return (text[found.end() :], found[1]) if found else (text, "")


def _detect_delimiter(text: str, columns: Sequence[str]) -> str:
    """What parts the cells: the mark by which the first row names most of the columns, else the one it has most of."""
    rows = _first_rows(text)
    return max(_DELIMITERS, key=lambda mark: (len(set(columns) & set(rows[mark])), len(rows[mark])))


def _first_rows(text: str) -> dict[str, list[str]]:
    """The names in the first row that is not blank, for each mark that may part them."""
    head = "".join(islice(io.StringIO(text, newline=""), _MAX_HEADER_LINES))
    found = {}
    for mark in _DELIMITERS:
        try:
            rows = csv.reader(io.StringIO(head, newline=""), delimiter=mark)
            found[mark] = next((_normalise_names(cells) for cells in rows if not _is_blank(cells)), [])
        except csv.Error:
            found[mark] = []
    return found


def _is_blank(cells: Iterable[str]) -> bool:
    """Also a line of marks alone, whichever they are."""
    return not any(cell.strip(" ,;|\t\r\n") for cell in cells)


def _normalise_names(cells: Iterable[str]) -> list[str]:
    """No more of them than any table of ours could have: a row may have millions of cells."""
    return [text_input.clean_code(cell).lower() for cell in islice(cells, _MAX_COLUMNS)]


def _parse_records(text: str, mark: str) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not blank, by its number; without the empty cells at its end."""
    row = 0
    try:
        for row, cells in enumerate(csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=mark), 1):
            while cells and not cells[-1].strip():
                cells.pop()
            if not _is_blank(cells):
                yield row, [unescape_formulas(cell.strip()) for cell in cells]
    except csv.Error as error:
        raise CsvError(f"Row {row + 1:,} is not CSV: {error}.") from error


def _check_row_count(text: str, mark: str) -> None:
    """Rows are counted, where there may be so many, before they are looked at one by one."""
    if text.count("\n") + text.count("\r") <= MAX_CSV_ROWS:
        return
    if sum(1 for _ in islice(_parse_records(text, mark), MAX_CSV_ROWS + 2)) > MAX_CSV_ROWS + 1:
        raise _too_many_rows()


def _too_many_rows() -> CsvError:
    return CsvError(
        f"The file has more than {MAX_CSV_ROWS:,} rows. Split it, and import its parts one after the other."
    )


def _read_header(row: int, cells: Sequence[str], columns: Sequence[str], required: Sequence[str]) -> list[str]:
    """The header. A column without a name may be there as long as it is empty."""
    names = _normalise_names(cells)
    named = [name for name in names if name]
    missing = [column for column in required if column not in named]
    unknown = [name for name in named if name not in columns]
    if missing or unknown or len(set(named)) < len(named):
        more = f" and {len(unknown) - 5:,} more" if len(unknown) > 5 else ""
        problems = [
            f"missing: {', '.join(missing)}" if missing else "",
            f"not known: {', '.join(name[:40] for name in unknown[:5])}{more}" if unknown else "",
            "some are named twice" if not unknown and len(set(named)) < len(named) else "",
        ]
        rule = "are" if len(required) == 1 else "must be"
        words = "; ".join(filter(None, problems))
        raise CsvError(f"The columns in row {row:,} are not right ({words}). They {rule} {','.join(columns)}.")
    return names


def _make_row(row: int, cells: Sequence[str], names: Sequence[str]) -> CsvRow:
    found = CsvRow(row, {name: cell for name, cell in zip(names, cells, strict=False) if name})
    if len(cells) > len(names):
        found.add_error("whole row", f"There are {len(cells)} cells for {len(names)} columns.")
    for place, (name, cell) in enumerate(zip(names, cells, strict=False), 1):
        if cell and not name:
            found.add_error(f"column {place}", "This column has no name in the header. Name it, or empty the cell.")
    return found


def _clean_value(line: str) -> str:
    """A line of a list, without the marks that a spreadsheet puts after a single column, and without quotes."""
    return unescape_formulas(line.rstrip(",;|\t ").strip(" \"'"))

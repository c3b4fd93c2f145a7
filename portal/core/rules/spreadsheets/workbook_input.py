"""Read the first sheet of an .xlsx workbook, row by row, in memory that the rows do not determine.

A workbook is a ZIP archive of XML files, so a small one may claim to be huge. Its parts are measured before they are
unpacked, which `zipfile` then never exceeds, and none may declare entities.
"""

import datetime
import io
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from xml.parsers import expat

from portal.core.rules.csv_input import MAX_CSV_ROWS, CsvError, too_many_rows
from portal.core.translation import gettext as _

_SIGNATURE = b"PK\x03\x04"
_OLD_SIGNATURE = b"\xd0\xcf\x11\xe0"
MAX_COLUMNS = 200
_MAX_PARTS = 1_000
_CHUNK_BYTES = 16_384
_LAST_ROW = 1_048_576
"""No sheet has more; one that claims a row beyond would be counted up to it."""
_ERRORS = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RuntimeError, EOFError, OSError)
_DAMAGE = (*_ERRORS, SyntaxError, zipfile.BadZipFile, zlib.error)
"""What openpyxl raises for a damaged workbook; errors of XML are `SyntaxError`s."""


@dataclass(frozen=True)
class UnpackingLimits:
    """In MB. `at_once` is for all that is not read row by row, such as the texts of the cells."""

    total: int
    at_once: int


IN_WORKER = UnpackingLimits(200, 40)
"""openpyxl takes about half a second for each MB, so no request reads a workbook."""


def is_workbook(raw: bytes) -> bool:
    """Also true for the format before .xlsx and for encrypted workbooks, which cannot be read."""
    return raw.startswith((_SIGNATURE, _OLD_SIGNATURE))


def open_first_sheet(raw: bytes, limits: UnpackingLimits = IN_WORKER) -> tuple[int, Iterator[tuple[int, list[str]]]]:
    """How many rows the sheet claims to have; then the number and the cells of each row that is not blank.

    Empty trailing cells are left out. Raises `CsvError`, and so may reading the rows. openpyxl is imported here: it is
    only needed for workbooks.
    """
    if not raw.startswith(_SIGNATURE):
        raise CsvError(
            _("This workbook is encrypted or has an older format. Save it as .xlsx without a password, or as CSV.")
        )
    with _damage_refused():
        from portal.core.rules.spreadsheets.workbook_reader import open_workbook

        _check_parts(raw, limits.total)
        workbook = open_workbook(raw, limits.at_once)
        if not workbook.worksheets:
            raise CsvError(_("The workbook has no sheet with cells."))
        sheet = workbook.worksheets[0]
        claimed_rows = min(sheet.max_row or 0, MAX_CSV_ROWS)
        # A sheet may have more rows and columns than it claims.
        sheet.reset_dimensions()
        return claimed_rows, _records(sheet.iter_rows(max_col=MAX_COLUMNS, values_only=True))


def _records(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[int, list[str]]]:
    with _damage_refused():
        for row, values in zip(range(1, _LAST_ROW + 1), rows, strict=False):
            cells = _row_texts(values)
            if cells and row > MAX_CSV_ROWS + 1:
                raise too_many_rows()
            if cells:
                yield row, cells


@contextmanager
def _damage_refused() -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        raise CsvError(
            _("The workbook is damaged. Open it in a spreadsheet program, save it again as .xlsx, and upload that.")
        ) from error


def _check_parts(raw: bytes, max_megabytes: int) -> None:
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        parts = archive.infolist()
        if len(parts) > _MAX_PARTS or sum(part.file_size for part in parts) > max_megabytes * 1024**2:
            raise CsvError(
                _(
                    "The workbook takes more than %(limit)s MB when unpacked. Delete other sheets and pictures, or "
                    "save the sheet as “CSV UTF-8”.",
                    limit=max_megabytes,
                )
            )
        for part in parts:
            if _declares_document_type(archive, part):
                raise CsvError(_("The workbook contains declarations that no spreadsheet program writes."))


def _declares_document_type(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> bool:
    """Only what comes before the first element can declare one, so no more is parsed."""
    events: list[bool] = []
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = lambda *_declaration: events.append(True)
    parser.StartElementHandler = lambda *_element: events.append(False)
    # A picture is no XML, and openpyxl itself reports XML that is damaged.
    with archive.open(part) as content, suppress(expat.ExpatError):
        while not events and (chunk := content.read(_CHUNK_BYTES)):
            parser.Parse(chunk, False)
    return events[:1] == [True]


def _row_texts(values: tuple[Any, ...]) -> list[str]:
    """Without empty trailing cells, of which there are up to `MAX_COLUMNS` in each row."""
    if values.count(None) == len(values):
        return []
    cells = list(values)
    while cells and cells[-1] is None:
        cells.pop()
    texts = [_cell_text(value) for value in cells]
    while texts and not texts[-1]:
        texts.pop()
    return texts


def _cell_text(value: Any) -> str:
    """A date as YYYY-MM-DD, with the time of day if it has one; a number without separators."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime.datetime):
        has_time = value.time() != datetime.time()
        return f"{value:%Y-%m-%d %H:%M:%S}".removesuffix(":00") if has_time else f"{value:%Y-%m-%d}"
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, datetime.time):
        return f"{value:%H:%M:%S}".removesuffix(":00")
    return _number_text(value) if isinstance(value, int | float) else str(value).strip()


def _number_text(value: float) -> str:
    """With the 15 digits that spreadsheets keep: 0.1 + 0.2 is 0.3 there."""
    return f"{Decimal(f'{value:.15g}'):f}"

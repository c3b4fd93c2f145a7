"""The formats of exports. Rows are written a batch at a time, and the batches become a file when it is downloaded."""

import io
import json
import math
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from portal.core.rules import csv_output
from portal.core.translation import N_

Rows = Sequence[Sequence[Any]]
_SHEET, _END_OF_ROWS = "xl/worksheets/sheet1.xml", b"</sheetData>"
_COLUMN_WIDTH = 22
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class ExportFormat:
    """`write_rows` makes the content of a batch, and `assemble` a file from the columns and the contents.

    `max_rows` is how many rows below the headings programs can open.
    """

    label: str
    mimetype: str
    write_rows: Callable[[Sequence[str], Rows], str]
    assemble: Callable[[Sequence[str], Iterable[bytes]], Iterator[bytes]]
    max_rows: float = math.inf


def _csv_rows(_columns: Sequence[str], rows: Rows) -> str:
    return "".join(map(csv_output.format_row, rows))


def _csv_file(columns: Sequence[str], contents: Iterable[bytes]) -> Iterator[bytes]:
    yield (csv_output.BYTE_ORDER_MARK + csv_output.format_row(columns)).encode()
    yield from contents


def _json_rows(columns: Sequence[str], rows: Rows) -> str:
    return "".join(json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False) + "\n" for row in rows)


def _json_file(_columns: Sequence[str], contents: Iterable[bytes]) -> Iterator[bytes]:
    yield from contents


def _sheet_rows(_columns: Sequence[str], rows: Rows) -> str:
    return "".join(f"<row>{''.join(map(_sheet_cell, row))}</row>" for row in rows)


def _sheet_cell(value: Any) -> str:
    """Text is never a formula here, because the cell says that it is text."""
    if value is None:
        return "<c/>"
    if isinstance(value, int):
        return f"<c><v>{value}</v></c>"
    text = escape(_NOT_XML.sub("\ufffd", str(value)))
    return f'<c t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'


def _workbook_file(columns: Sequence[str], contents: Iterable[bytes]) -> Iterator[bytes]:
    """openpyxl writes a workbook with the headings, and the rows go into its sheet as it is copied."""
    target = _Chunks()
    with zipfile.ZipFile(io.BytesIO(_empty_workbook(columns))) as source, zipfile.ZipFile(target, "w") as workbook:
        for name in source.namelist():
            start, end_of_rows, end = source.read(name).partition(_END_OF_ROWS if name == _SHEET else b"\0")
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            with workbook.open(info, "w", force_zip64=name == _SHEET) as file:
                file.write(start)
                for content in contents if name == _SHEET else ():
                    file.write(content)
                    yield target.take()
                file.write(end_of_rows + end)
    yield target.take()


def _empty_workbook(columns: Sequence[str]) -> bytes:
    """openpyxl is imported here, because most processes never need it."""
    from openpyxl import Workbook
    from openpyxl.utils import get_column_letter

    workbook, file = Workbook(), io.BytesIO()
    sheet = workbook.active
    sheet.title, sheet.freeze_panes = "Communications", "A2"
    sheet.append(list(columns))
    for index in range(len(columns)):
        sheet.column_dimensions[get_column_letter(index + 1)].width = _COLUMN_WIDTH
    workbook.save(file)
    return file.getvalue()


class _Chunks(io.RawIOBase):
    """A file that cannot be read or rewound: what was written is taken away bit by bit."""

    def __init__(self) -> None:
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._written += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._written)
        self._written.clear()
        return taken


FORMATS: Mapping[str, ExportFormat] = {
    "csv": ExportFormat(N_("CSV, for every spreadsheet"), "text/csv", _csv_rows, _csv_file),
    "xlsx": ExportFormat(
        N_("Excel workbook (.xlsx)"),
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        _sheet_rows,
        _workbook_file,
        max_rows=1_048_575,
    ),
    "jsonl": ExportFormat(N_("JSON lines, for programs"), "application/x-ndjson", _json_rows, _json_file),
}
"""By the ending of the file's name."""

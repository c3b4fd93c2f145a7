"""Workbooks for tests: as a spreadsheet program writes them, and made by hand, with parts that none would write."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import openpyxl

_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_PARTS = {
    "[Content_Types].xml": (
        '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_TYPE}.worksheet+xml"/></Types>'
    ),
    "_rels/.rels": (
        f'<Relationships xmlns="{_RELATIONS}">'
        f'<Relationship Id="r1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
    ),
    "xl/workbook.xml": (
        f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}">'
        '<sheets><sheet name="A" sheetId="1" r:id="r1"/></sheets></workbook>'
    ),
    "xl/_rels/workbook.xml.rels": (
        f'<Relationships xmlns="{_RELATIONS}">'
        f'<Relationship Id="r1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>'
    ),
}


def workbook_of(rows: Sequence[Sequence[Any]]) -> bytes:
    workbook = openpyxl.Workbook()
    for row in rows:
        workbook.active.append(row)
    workbook.create_sheet("Notes").append(["not read"])
    output = io.BytesIO()
    workbook.save(output)
    return output.getvalue()


def handmade_workbook(rows: str, before_sheet: str = "", parts: Mapping[str, bytes] | None = None) -> bytes:
    """`rows` is the XML of the rows; `before_sheet` stands before the first element of the sheet.

    `parts` are further files of the archive.
    """
    sheet = f'{before_sheet}<worksheet xmlns="{_MAIN}"><sheetData>{rows}</sheetData></worksheet>'
    output = io.BytesIO()
    contents: dict[str, str | bytes] = {**_PARTS, "xl/worksheets/sheet1.xml": sheet, **(parts or {})}
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return output.getvalue()


def shared_texts_part(content: bytes, name: str) -> dict[str, bytes]:
    """Parts for `handmade_workbook`: the texts that cells refer to, under this name."""
    override = f'<Override PartName="/{name}" ContentType="{_TYPE}.sharedStrings+xml"/></Types>'
    types = _PARTS["[Content_Types].xml"].replace("</Types>", override)
    return {"[Content_Types].xml": types.encode(), name: content}


def inline_row(number: int, *cells: str) -> str:
    """A row whose texts stand in the cells themselves, as some programs export them."""
    texts = "".join(
        f'<c r="{chr(ord("A") + index)}{number}" t="inlineStr"><is><t>{cell}</t></is></c>'
        for index, cell in enumerate(cells)
    )
    return f'<row r="{number}">{texts}</row>'

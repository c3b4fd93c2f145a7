"""The first sheet of an .xlsx workbook is read like a CSV; hostile workbooks are refused before they cost anything."""

import time
from datetime import date, datetime, timedelta
from datetime import time as time_of_day
from typing import Any

import pytest

from portal.core.rules.csv_input import CsvError
from portal.core.rules.spreadsheets import workbook_input
from portal.core.rules.spreadsheets.spreadsheet_rows import column_letter, open_spreadsheet
from portal.core.rules.spreadsheets.workbook_input import UnpackingLimits
from tests.support.spreadsheets import workbooks
from tests.support.spreadsheets.workbooks import handmade_workbook, inline_row, workbook_of

HEADER = ["external_id", "exam_date"]
ENTITIES = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
_SMALL = UnpackingLimits(20, 5)


def read(raw: bytes) -> list[tuple[int, list[str]]]:
    return list(workbook_input.open_first_sheet(raw)[1])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (date(2027, 5, 28), "2027-05-28"),
        (datetime(2027, 5, 28), "2027-05-28"),
        (datetime(2027, 5, 28, 14, 30), "2027-05-28 14:30"),
        (datetime(2027, 5, 28, 14, 30, 5), "2027-05-28 14:30:05"),
        (time_of_day(9, 5), "09:05"),
        (timedelta(hours=30), "1 day, 6:00:00"),
        (1204, "1204"),
        (-7.0, "-7"),
        (0.1 + 0.2, "0.3"),
        (1234567.89, "1234567.89"),
        (0.00000012, "0.00000012"),
        (12345678901234567890, "12345678901234600000"),
        (True, "TRUE"),
        ("  Zoë  ", "Zoë"),
        ("0042", "0042"),
        ("#N/A", "#N/A"),
    ],
)
def test_cell_is_read_as_people_write_it(value: Any, text: str) -> None:
    assert read(workbook_of([HEADER, ["P-1", value]]))[1] == (2, ["P-1", text])


def test_rows_are_numbered_as_the_spreadsheet_shows_them() -> None:
    raw = workbook_of([[], HEADER, [], ["P-1", "x", None, " "], [None, None], ["P-2"]])
    assert read(raw) == [(2, HEADER), (4, ["P-1", "x"]), (6, ["P-2"])]


def test_texts_in_the_cells_are_read() -> None:
    assert read(handmade_workbook(inline_row(1, *HEADER) + inline_row(3, "P-1", "May"))) == [
        (1, HEADER),
        (3, ["P-1", "May"]),
    ]


def test_workbook_and_csv_are_told_apart() -> None:
    for raw in (workbook_of([HEADER, ["P-1", "x"]]), b"external_id;exam_date\r\nP-1;x\r\n"):
        sheet = open_spreadsheet(raw, HEADER)
        assert (sheet.header_row, sheet.header, list(sheet.records)) == (1, HEADER, [(2, ["P-1", "x"])])
        assert sheet.row_estimate == 2


def test_empty_workbook_is_refused() -> None:
    with pytest.raises(CsvError, match="The file is empty"):
        open_spreadsheet(workbook_of([]), HEADER)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        pytest.param(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "encrypted or has an older format", id="older"),
        pytest.param(b"PK\x03\x04 and no archive", "damaged", id="no archive"),
        pytest.param(workbook_of([HEADER])[:-200], "damaged", id="cut off"),
        pytest.param(handmade_workbook("<row r='1'><c"), "damaged", id="broken XML"),
        pytest.param(handmade_workbook("<row r='1'><c r='A1' t='s'><v>7</v></c></row>"), "damaged", id="no such text"),
        pytest.param(handmade_workbook(inline_row(1, "&a;"), ENTITIES), "declarations", id="entities"),
        pytest.param(handmade_workbook("", f"<!-- {'x' * 70_000} -->{ENTITIES}"), "declarations", id="late entities"),
        pytest.param(
            handmade_workbook("", parts={"x.bin": f"{ENTITIES}<x/>".encode("utf-16")}), "declarations", id="UTF-16"
        ),
        pytest.param(handmade_workbook("", parts={"big": bytes(201 * 1024**2)}), "more than 200 MB", id="zip bomb"),
        pytest.param(handmade_workbook("", parts={str(n): b"" for n in range(1_001)}), "200 MB", id="many parts"),
    ],
)
def test_unreadable_workbook_is_refused(raw: bytes, message: str) -> None:
    with pytest.raises(CsvError, match=message):
        read(raw)


@pytest.mark.parametrize(
    "parts",
    [
        workbooks.shared_texts_part(bytes(6 * 1024**2), "xl/sharedStrings.xml"),
        workbooks.shared_texts_part(bytes(6 * 1024**2), "xl/worksheets/sheet2.xml"),
        {"xl/styles.xml": bytes(6 * 1024**2)},
        workbooks.shared_texts_part(b"<sst/>".ljust(3 * 1024**2), "texts.xml") | {"xl/styles.xml": bytes(3 * 1024**2)},
    ],
    ids=["texts", "texts named like a sheet", "styles", "together"],
)
def test_what_is_read_at_once_has_a_limit(parts: dict[str, bytes]) -> None:
    with pytest.raises(CsvError, match=r"more than 5 MB .* “CSV UTF-8”"):
        workbook_input.open_first_sheet(handmade_workbook(inline_row(1, *HEADER), parts=parts), _SMALL)


def test_workbook_that_unpacks_to_too_much_is_refused() -> None:
    raw = handmade_workbook(inline_row(1, *HEADER), parts={"xl/media/picture.png": bytes(21 * 1024**2)})
    assert read(raw) == [(1, HEADER)]
    with pytest.raises(CsvError, match="more than 20 MB when unpacked"):
        workbook_input.open_first_sheet(raw, _SMALL)


def test_rows_and_columns_far_away_take_no_time() -> None:
    started = time.process_time()
    far = '<row r="2"><c r="XFD2" t="b"><v>1</v></c></row><row r="999999999999"><c t="b"><v>1</v></c></row>'
    assert read(handmade_workbook(inline_row(1, *HEADER) + far)) == [(1, HEADER)]
    assert time.process_time() - started < 5


def test_workbook_with_too_many_rows_is_refused() -> None:
    raw = handmade_workbook(inline_row(1, *HEADER) + inline_row(200_002, "P-1"))
    with pytest.raises(CsvError, match="more than 200,000 rows"):
        read(raw)


@pytest.mark.parametrize(("index", "letters"), [(0, "A"), (25, "Z"), (26, "AA"), (701, "ZZ"), (702, "AAA")])
def test_columns_have_the_letters_of_spreadsheets(index: int, letters: str) -> None:
    assert column_letter(index) == letters

"""The columns of a recipient file are recognized however a spreadsheet writes them, and errors name their cells."""

from collections.abc import Sequence

import pytest

from portal.core.rules.csv_input import CsvError
from portal.core.rules.spreadsheets.spreadsheet_rows import open_spreadsheet
from portal.sends.rules import recipient_rows
from portal.sends.rules.recipient_rows import RecipientCells, match_columns

FIELDS = ("exam_date", "fee")
TABLE = "external_id,exam_date,fee\r\nP-1,2027-05-28,80\r\nV-2,Mai 2027,90\r\n"
SEMICOLONS = TABLE.replace(",", ";")


def read(raw: bytes | str, missing: Sequence[str] = ()) -> list[RecipientCells]:
    sheet = open_spreadsheet(raw if isinstance(raw, bytes) else raw.encode(), recipient_rows.likely_headings(FIELDS))
    columns = match_columns(sheet.header_row, sheet.header, FIELDS, missing)
    return [recipient_rows.read_row(row, cells, columns, missing) for row, cells in sheet.records]


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(TABLE.encode("utf-8-sig"), id="Excel, CSV UTF-8, United States"),
        pytest.param(SEMICOLONS.encode("utf-8-sig"), id="Excel, CSV UTF-8, Germany"),
        pytest.param(SEMICOLONS.encode("cp1252"), id="Excel, CSV, France"),
        pytest.param(b"\xff\xfe" + TABLE.replace(",", "\t").encode("utf-16-le"), id="Excel, Unicode text"),
        pytest.param(f"sep=;\r\n{SEMICOLONS}".encode(), id="Excel, with a declared separator"),
        pytest.param(f"{SEMICOLONS}{';;' * 3}\r\n;;\r\n".encode(), id="Excel, cleared rows"),
        pytest.param(TABLE.replace("\r\n", ",,\r\n").encode(), id="Excel, cleared columns"),
        pytest.param(TABLE.replace("\r\n", "\n").encode(), id="LibreOffice, United States"),
        pytest.param(
            ('"' + SEMICOLONS.strip().replace(";", '";"').replace("\r\n", '"\n"') + '"').encode(), id="quoted"
        ),
        pytest.param(SEMICOLONS.replace("\r\n", "\n").strip().encode(), id="Numbers, Germany"),
        pytest.param(TABLE.replace("\r\n", "\r").encode("utf-16"), id="Numbers, old Mac line ends"),
    ],
)
def test_files_of_spreadsheet_programs_are_read(raw: bytes) -> None:
    rows = read(raw)
    assert [(row.external_id, dict(row.data), row.errors) for row in rows] == [
        ("P-1", {"exam_date": "2027-05-28", "fee": "80"}, ()),
        ("V-2", {"exam_date": "Mai 2027", "fee": "90"}, ()),
    ]


@pytest.mark.parametrize(
    "account", ["external_id", "External ID", "Account number", "ACCOUNT NO.", "\ufeffexternal_id"]
)
@pytest.mark.parametrize("date", ["exam_date", "data.exam_date", "Exam date", "Data.Exam Date", " exam-date "])
def test_headings_are_recognized_in_any_spelling(account: str, date: str) -> None:
    assert match_columns(1, [account, date], FIELDS, ["exam_date"]).names == ("external_id", "exam_date")


def test_other_columns_are_named_as_unused() -> None:
    columns = match_columns(1, ["Name", "external_id", "", "E-mail", "fee"], FIELDS, ["fee"])
    assert (columns.fields, columns.unused) == (("fee",), ("Name", "E-mail"))


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        (
            ["name", "fee"],
            "Row 3 needs a heading “external_id” above the account numbers. Its headings are: name, fee.",
        ),
        (["external_id", "account number", "fee"], "Row 3 has two columns for external_id. Delete one."),
        (["external_id", "fee", "data.fee"], "Row 3 has two columns for fee. Delete one."),
        (["external_id", "exam_date"], "The template needs a value for fee. Add a column with that heading to row 3,"),
    ],
)
def test_header_that_cannot_be_used_is_refused(header: list[str], problem: str) -> None:
    with pytest.raises(CsvError) as error:
        match_columns(3, header, FIELDS, ["fee"])
    assert str(error.value).startswith(problem)


@pytest.mark.parametrize(
    ("line", "column", "message"),
    [
        (",2027-05-28,80", "A, external_id", "This cell is empty."),
        ("P-1,2027-05-28,", "C, fee", "This cell is empty, and the template needs a value."),
        ("P-1,2027-05-28,\u200b \u00a0", "C, fee", "This cell is empty, and the template needs a value."),
        ("P-1,#REF!,80", "B, exam_date", "The spreadsheet shows an error here: #REF!. Correct its formula."),
        ("P-1,x,1,250", "whole row", "There are 4 cells for 3 columns."),
        (f"P-1,{'x' * 2_001},80", "B, exam_date", "Use at most 2,000 characters; this has 2,001."),
    ],
)
def test_error_names_the_cell(line: str, column: str, message: str) -> None:
    (row,) = read(f"external_id,exam_date,fee\n{line}\n", missing=["fee"])
    assert [(error.row, error.column, error.message) for error in row.errors] == [(2, column, message)]


def test_blank_values_are_left_to_the_values_for_everyone() -> None:
    (row,) = read("external_id,exam_date,fee\nP-1,,80\n")
    assert dict(row.data) == {"fee": "80"}

"""Whatever a spreadsheet calls a CSV is read; what cannot be is named by its row and column."""

import time

import pytest

from portal.core.rules import csv_input
from portal.core.rules.csv_input import CsvError, CsvResult, CsvRow, decode_csv, read_list, read_table

COLUMNS = ("external_id", "name", "email")
NAMES = ["Zoë Ångström", "Kim, Lee"]
PLAIN = 'external_id,name,email\nP-1,Zoë Ångström,z@example.org\nP-2,"Kim, Lee",k@example.org\n'
GERMAN = PLAIN.replace('"Kim, Lee"', "Kim% Lee").replace(",", ";").replace("%", ",")
TABS = GERMAN.replace(";", "\t")


def parse_csv(raw: bytes | str) -> CsvResult[tuple[str, str, str]]:
    text = decode_csv(raw if isinstance(raw, bytes) else raw.encode()).text
    return read_table(
        text, COLUMNS, ("external_id", "name"), lambda cells: (cells["external_id"], cells["name"], cells["email"])
    )


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(PLAIN.encode(), id="UTF-8"),
        pytest.param(PLAIN.encode("utf-8-sig"), id="UTF-8 with a mark"),
        pytest.param(b"\xef\xbb\xbf" + PLAIN.encode("utf-8-sig"), id="UTF-8 with two marks"),
        pytest.param(PLAIN.encode("utf-16"), id="UTF-16 as this machine writes it"),
        pytest.param(b"\xff\xfe" + PLAIN.encode("utf-16-le"), id="UTF-16, little end first"),
        pytest.param(b"\xfe\xff" + PLAIN.encode("utf-16-be"), id="UTF-16, big end first"),
        pytest.param(b"\xff\xfe" + TABS.encode("utf-16-le"), id="Unicode text of a spreadsheet"),
        pytest.param(PLAIN.encode("utf-32"), id="UTF-32"),
        pytest.param(GERMAN.encode(), id="semicolons"),
        pytest.param(TABS.encode(), id="tabs"),
        pytest.param(GERMAN.replace(";", "|").encode(), id="bars"),
        pytest.param(f"sep=;\r\n{GERMAN}".encode(), id="sep=;"),
        pytest.param(f"sep=,\n{PLAIN}".encode("utf-8-sig"), id="sep=, behind a mark"),
        pytest.param(f'"SEP=\t"\n{TABS}'.encode(), id="sep= with a tab, in quotes"),
        pytest.param(f"sep=;;;\n{GERMAN}".encode(), id="sep= with empty cells behind it"),
        pytest.param(PLAIN.replace("\n", "\r\n").encode(), id="CRLF"),
        pytest.param(PLAIN.replace("\n", "\r").encode(), id="CR"),
        pytest.param(PLAIN.replace("\n", "\r\r\n").encode(), id="CRLF converted twice"),
        pytest.param(PLAIN.replace("\n", ",,\n").encode(), id="empty cells at the end of every row"),
        pytest.param(PLAIN.replace("email\n", "email,,\n").encode(), id="empty cells at the end of the header"),
        pytest.param(PLAIN.replace("org\n", "org, ,\n").encode(), id="empty cells at the end of the rows"),
        pytest.param(
            PLAIN.replace("_id,", "_id,,").replace("P-1,", "P-1,,").replace("P-2,", "P-2,,").encode(),
            id="an empty column",
        ),
        pytest.param(f"{PLAIN}\x1a".encode(), id="the end of a file of DOS"),
        pytest.param(
            "\u200bexternal_id\u00a0,NAME, email\n".encode() + PLAIN.partition("\n")[2].encode(),
            id="odd names of columns",
        ),
    ],
)
def test_what_spreadsheets_write_is_read(raw: bytes) -> None:
    found = parse_csv(raw)
    assert found.errors == []
    assert [row[1] for row in found.rows] == NAMES
    assert [row[2] for row in found.rows] == ["z@example.org", "k@example.org"]


@pytest.mark.parametrize("before", ["\n\n", "\r\n \r\n", ",,\n\n", "\n;;\n"])
def test_blank_lines_before_the_header_are_passed_over_and_counted(before: str) -> None:
    found = parse_csv(f"{before}external_id,name\nP-1,Kim\nP-2,\n,x\n")
    assert found.rows == [("P-1", "Kim", ""), ("P-2", "", ""), ("", "x", "")]
    rows: list[int] = []
    read_table(f"{before}external_id,name\nP-1,Kim\n", COLUMNS, (), lambda cells: rows.append(cells.row_number))
    assert rows == [4]


def test_line_ends_in_quotes_are_of_the_cell_and_rows_are_counted_as_a_spreadsheet_does() -> None:
    rows: list[tuple[int, str]] = []
    text = 'external_id,name\r\nP-1,"Kim\r\nLee"\r\n\r\nP-2,Jo\r\n'
    read_table(
        decode_csv(text.encode()).text, COLUMNS, (), lambda cells: rows.append((cells.row_number, cells["name"]))
    )
    assert rows == [(2, "Kim\r\nLee"), (4, "Jo")]


def test_another_encoding_is_read_as_windows_1252_with_a_warning_that_shows_a_name() -> None:
    found = decode_csv("external_id,name\nP-1,Zoë “Jo” Łód".replace("Łód", "Müller").encode("cp1252"))
    assert found.text == "external_id,name\nP-1,Zoë “Jo” Müller"
    (warning,) = found.warnings
    assert "“Zoë” in line 2" in warning
    assert "CSV UTF-8" in warning


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "The file is empty."),
        (b" \r\n", "The file is empty."),
        (b"\xff\xfe \x00", "The file is empty."),
        (b"PK\x03\x04abc", "This is a workbook, not a CSV."),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "This is a workbook, not a CSV."),
        (b"a,b\x00", "The file holds null bytes, so it is not a CSV."),
        (b"a,\x81b", "Row 1 is not UTF-8. Save the file as “CSV UTF-8”."),
        (b"\xff\xfea", "The file begins as UTF-16 and is broken further on."),
    ],
)
def test_what_is_no_text_is_refused(raw: bytes, said: str) -> None:
    with pytest.raises(CsvError) as refused:
        decode_csv(raw)
    assert str(refused.value).startswith(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("external_id,name,,\nP-1,Kim,x", "Row 2, whole row: There are 3 cells for 2 columns."),
        ("external_id,,name\nP-1,x,Kim", "Row 2, column 2: This column has no name in the header."),
        ("external_id;name\nP-1;Kim;;x", "Row 2, whole row: There are 4 cells for 2 columns."),
    ],
)
def test_what_stands_outside_the_named_columns_is_named(text: str, said: str) -> None:
    (mistake,) = parse_csv(text).errors
    assert str(mistake).startswith(said)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n\nname\n", "The columns in row 3 are not right (missing: external_id)."),
        ("external_id;name;shoe\n", "The columns in row 1 are not right (not known: shoe)."),
        ('external_id,name\nP-1,Kim\n\nP-2,"Lee\nJo\n', "Row 4 is not CSV: unexpected end of data."),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_with_its_row(text: str, said: str) -> None:
    with pytest.raises(CsvError) as refused:
        parse_csv(text)
    assert str(refused.value).startswith(said)


def reject_row(cells: CsvRow) -> None:
    cells.add_error("external_id", "No.")


def test_of_a_million_wrong_rows_the_first_thousand_are_read() -> None:
    began = time.process_time()
    found = read_list("555\n" * csv_input.MAX_CSV_ROWS, "external_id", reject_row)
    assert (len(found.errors), found.stopped_at_row) == (csv_input.MAX_ROW_ERRORS, csv_input.MAX_ROW_ERRORS)
    found = read_table("external_id\n" + "555\n" * csv_input.MAX_CSV_ROWS, COLUMNS, (), reject_row)
    assert (len(found.errors), found.stopped_at_row) == (csv_input.MAX_ROW_ERRORS, csv_input.MAX_ROW_ERRORS + 1)
    assert time.process_time() - began < 5


@pytest.mark.parametrize("ends", ["\n", "\r", "\r\n"])
def test_more_rows_than_a_file_may_have_are_refused_before_any_is_looked_at(ends: str) -> None:
    for act in (
        lambda: read_list(f"5{ends}" * (csv_input.MAX_CSV_ROWS + 1), "external_id", reject_row),
        lambda: read_table(f"name{ends}" + f"5{ends}" * (csv_input.MAX_CSV_ROWS + 1), COLUMNS, (), reject_row),
    ):
        with pytest.raises(CsvError, match="has more than 200,000 rows"):
            act()


def test_a_header_of_millions_of_cells_is_refused_without_reading_them_all() -> None:
    with pytest.raises(CsvError, match="not known: a, a, a, a, a and 994 more"):
        csv_input.read_table("phone" + ",a" * 2_000, ("phone",), ("phone",), lambda cells: cells["phone"])

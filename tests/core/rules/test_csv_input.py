"""CSV files of all spreadsheets are read; errors name their row and column."""

import time

import pytest

from portal.core.rules import csv_input
from portal.core.rules.csv_input import CsvError, CsvResult, CsvRow, decode_csv, read_list, read_table
from portal.core.rules.spreadsheets.csv_records import open_csv_records

COLUMNS = ("external_id", "name", "email")
NAMES = ["Zoë Ångström", "Kim, Lee"]
PLAIN = 'external_id,name,email\nP-1,Zoë Ångström,z@example.org\nP-2,"Kim, Lee",k@example.org\n'
GERMAN = PLAIN.replace('"Kim, Lee"', "Kim% Lee").replace(",", ";").replace("%", ",")
TABS = GERMAN.replace(";", "\t")


def parse_csv(raw: bytes | str) -> CsvResult[tuple[str, str, str]]:
    text = decode_csv(raw if isinstance(raw, bytes) else raw.encode()).text
    return read_table(
        text, COLUMNS, ("external_id", "name"), lambda row: (row["external_id"], row["name"], row["email"])
    )


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(PLAIN.encode(), id="UTF-8"),
        pytest.param(PLAIN.encode("utf-8-sig"), id="UTF-8 with BOM"),
        pytest.param(b"\xef\xbb\xbf" + PLAIN.encode("utf-8-sig"), id="UTF-8 with two BOMs"),
        pytest.param(PLAIN.encode("utf-16"), id="UTF-16 in native byte order"),
        pytest.param(b"\xff\xfe" + PLAIN.encode("utf-16-le"), id="UTF-16LE"),
        pytest.param(b"\xfe\xff" + PLAIN.encode("utf-16-be"), id="UTF-16BE"),
        pytest.param(b"\xff\xfe" + TABS.encode("utf-16-le"), id="spreadsheet Unicode text"),
        pytest.param(PLAIN.encode("utf-32"), id="UTF-32"),
        pytest.param(GERMAN.encode(), id="semicolons"),
        pytest.param(TABS.encode(), id="tabs"),
        pytest.param(GERMAN.replace(";", "|").encode(), id="bars"),
        pytest.param(f"sep=;\r\n{GERMAN}".encode(), id="sep=;"),
        pytest.param(f"sep=,\n{PLAIN}".encode("utf-8-sig"), id="sep=, after BOM"),
        pytest.param(f'"SEP=\t"\n{TABS}'.encode(), id="quoted sep= with tab"),
        pytest.param(f"sep=;;;\n{GERMAN}".encode(), id="sep= with empty cells"),
        pytest.param(PLAIN.replace("\n", "\r\n").encode(), id="CRLF"),
        pytest.param(PLAIN.replace("\n", "\r").encode(), id="CR"),
        pytest.param(PLAIN.replace("\n", "\r\r\n").encode(), id="CRLF converted twice"),
        pytest.param(PLAIN.replace("\n", ",,\n").encode(), id="trailing empty cells"),
        pytest.param(PLAIN.replace("email\n", "email,,\n").encode(), id="trailing empty cells in header"),
        pytest.param(PLAIN.replace("org\n", "org, ,\n").encode(), id="trailing blank cells in rows"),
        pytest.param(
            PLAIN.replace("_id,", "_id,,").replace("P-1,", "P-1,,").replace("P-2,", "P-2,,").encode(),
            id="empty column",
        ),
        pytest.param(f"{PLAIN}\x1a".encode(), id="DOS end-of-file mark"),
        pytest.param(
            "\u200bexternal_id\u00a0,NAME, email\n".encode() + PLAIN.partition("\n")[2].encode(),
            id="unclean column names",
        ),
    ],
)
def test_spreadsheet_formats_are_read(raw: bytes) -> None:
    result = parse_csv(raw)
    assert result.errors == []
    assert [row[1] for row in result.rows] == NAMES
    assert [row[2] for row in result.rows] == ["z@example.org", "k@example.org"]
    assert list(open_csv_records(raw, COLUMNS)[0]) == list(csv_input.open_records(decode_csv(raw).text, COLUMNS))


@pytest.mark.parametrize("before", ["\n\n", "\r\n \r\n", ",,\n\n", "\n;;\n"])
def test_blank_lines_before_the_header_count_as_rows(before: str) -> None:
    result = parse_csv(f"{before}external_id,name\nP-1,Kim\nP-2,\n,x\n")
    assert result.rows == [("P-1", "Kim", ""), ("P-2", "", ""), ("", "x", "")]
    rows: list[int] = []
    read_table(f"{before}external_id,name\nP-1,Kim\n", COLUMNS, (), lambda row: rows.append(row.row_number))
    assert rows == [4]


def test_quoted_line_ends_belong_to_the_cell() -> None:
    rows: list[tuple[int, str]] = []
    text = 'external_id,name\r\nP-1,"Kim\r\nLee"\r\n\r\nP-2,Jo\r\n'
    read_table(decode_csv(text.encode()).text, COLUMNS, (), lambda row: rows.append((row.row_number, row["name"])))
    assert rows == [(2, "Kim\r\nLee"), (4, "Jo")]


def test_windows_1252_is_read_with_a_warning_that_quotes_a_name() -> None:
    decoded = decode_csv("external_id,name\nP-1,Zoë “Jo” Müller".encode("cp1252"))
    assert decoded.text == "external_id,name\nP-1,Zoë “Jo” Müller"
    (warning,) = decoded.warnings
    assert "“Zoë” in line 2" in warning
    assert "CSV UTF-8" in warning


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "The file is empty."),
        (b" \r\n", "The file is empty."),
        (b"\xff\xfe \x00", "The file is empty."),
        (b"PK\x03\x04abc", "This is a workbook, not a CSV."),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "This is a workbook, not a CSV."),
        (b"a,b\x00", "The file contains binary data, so it is not a CSV."),
        (b"a,\x81b", "Row 1 is not UTF-8. Save the file as “CSV UTF-8”."),
        (b"\xff\xfea", "The file starts as UTF-16 but is damaged further on."),
    ],
)
def test_non_text_file_is_refused(raw: bytes, message: str) -> None:
    with pytest.raises(CsvError) as error:
        decode_csv(raw)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("external_id,name,,\nP-1,Kim,x", "Row 2, whole row: There are 3 cells for 2 columns."),
        ("external_id,,name\nP-1,x,Kim", "Row 2, column 2: This column has no name in the header."),
        ("external_id;name\nP-1;Kim;;x", "Row 2, whole row: There are 4 cells for 2 columns."),
    ],
)
def test_cell_outside_the_named_columns_is_an_error(text: str, message: str) -> None:
    (error,) = parse_csv(text).errors
    assert str(error).startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n\nname\n", "The columns in row 3 are wrong (missing: external_id)."),
        ("external_id;name;shoe\n", "The columns in row 1 are wrong (unknown: shoe)."),
        (
            'external_id,name\nP-1,Kim\n\nP-2,"Lee\nJo\n',
            "Row 4 cannot be read as CSV. Check its quotation marks. (unexpected end of data)",
        ),
    ],
)
def test_unreadable_table_error_names_the_row(text: str, message: str) -> None:
    with pytest.raises(CsvError) as error:
        parse_csv(text)
    assert str(error.value).startswith(message)


def reject_row(row: CsvRow) -> None:
    row.add_error("external_id", "No.")


def test_reading_stops_after_a_thousand_errors() -> None:
    started = time.process_time()
    result = read_list("555\n" * csv_input.MAX_CSV_ROWS, "external_id", reject_row)
    assert (len(result.errors), result.stopped_at_row) == (csv_input.MAX_ROW_ERRORS, csv_input.MAX_ROW_ERRORS)
    result = read_table("external_id\n" + "555\n" * csv_input.MAX_CSV_ROWS, COLUMNS, (), reject_row)
    assert (len(result.errors), result.stopped_at_row) == (csv_input.MAX_ROW_ERRORS, csv_input.MAX_ROW_ERRORS + 1)
    assert time.process_time() - started < 5


@pytest.mark.parametrize("line_end", ["\n", "\r", "\r\n"])
def test_file_with_too_many_rows_is_refused(line_end: str) -> None:
    rows = f"5{line_end}" * (csv_input.MAX_CSV_ROWS + 1)
    with pytest.raises(CsvError, match="has more than 200,000 rows"):
        read_list(rows, "external_id", reject_row)
    with pytest.raises(CsvError, match="has more than 200,000 rows"):
        read_table(f"name{line_end}{rows}", COLUMNS, (), reject_row)
    with pytest.raises(CsvError, match="has more than 200,000 rows"):
        list(open_csv_records(f"name{line_end}{rows}".encode(), COLUMNS)[0])


def test_header_with_too_many_cells_is_cut_off() -> None:
    with pytest.raises(CsvError, match="unknown: a, a, a, a, a and 994 more"):
        csv_input.read_table("phone" + ",a" * 2_000, ("phone",), ("phone",), lambda row: row["phone"])

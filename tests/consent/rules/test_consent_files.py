"""Files of opt-outs and opt-ins: what is read, and every mistake by its row."""

from datetime import datetime

import pytest

from portal.consent.rules.consent_csv import MAX_TEXT_LENGTH, OptInRow, OptOutRow, read_opt_ins, read_opt_outs
from portal.core.rules.csv_input import CsvError, CsvResult

NOW = 1_782_000_000_000
"""21 June 2026."""
MARCH_MS = 1_772_323_200_000
"""1 March 2026, midnight UTC."""
END_OF_DAY_MS = MARCH_MS + 86_399_999
HEADER = "external_id,phone,opted_in_at,evidence"


def read_opt_out_rows(text: str) -> list[OptOutRow]:
    result = read_opt_outs(text, "US", NOW)
    assert result.errors == []
    return result.rows


def opt_out_errors(text: str) -> list[str]:
    return [str(row_error) for row_error in read_opt_outs(text, "US", NOW).errors]


def opt_in_errors(*lines: str) -> list[str]:
    return [str(row_error) for row_error in read_opt_ins("\n".join([HEADER, *lines]), "US", NOW).errors]


def test_list_of_numbers_is_read_in_any_notation() -> None:
    text = '\n(202) 555-0101\n+1 202-555-0102\r\n   \n\'+12025550103\n"2025550104"\n'
    assert [(row.row, row.number[-4:], row.at_ms) for row in read_opt_out_rows(text)] == [
        (2, "0101", None),
        (3, "0102", None),
        (5, "0103", None),
        (6, "0104", None),
    ]


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_columns_may_have_any_order_and_delimiter(mark: str) -> None:
    text = f"Reason{mark}PHONE{mark}stopped_at\nby email{mark}2025550101{mark}2026-03-01\n{mark}2025550102{mark}\n"
    assert read_opt_out_rows(text) == [
        OptOutRow(2, "+12025550101", END_OF_DAY_MS, "by email", "2026-03-01"),
        OptOutRow(3, "+12025550102", None, ""),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-03-01T00:00:00Z", MARCH_MS),
        ("2026-02-28T19:00:00-05:00", MARCH_MS),
        ("2026-03-01 00:00", MARCH_MS),
        ("2026-03-01", END_OF_DAY_MS),
    ],
)
def test_a_time_without_a_zone_is_utc(text: str, said: int) -> None:
    assert read_opt_out_rows(f"phone,stopped_at\n2025550101,{text}")[0].at_ms == said


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("555", "Row 2, phone: This is not a valid US number: check the digits, or start with + and the country code."),
        ("hello", "Row 2, phone: This is not a phone number. Write it like (201) 555-0123."),
        ("2025550101,2027-01-01", "Row 2, stopped_at: This is in the future."),
        ("2025550101,0202-03-01", "Row 2, stopped_at: Check the year: text messages did not exist then."),
        (
            "2025550101,03/01/2026",
            "Row 2, stopped_at: Write the time like 2026-03-01T14:30:00Z, or the day like 2026-03-01.",
        ),
        ("2025550101,,a,b", "Row 2, whole row: There are 4 cells for 3 columns."),
        (f"2025550101,,{'x' * 1001}", "Row 2, reason: Keep it to 1,000 characters; this has 1,001."),
    ],
)
def test_opt_out_row_errors_name_the_row_and_the_fix(line: str, sentence: str) -> None:
    assert opt_out_errors(f"phone,stopped_at,reason\n{line}") == [sentence]


def test_line_with_several_cells_explains_named_columns() -> None:
    assert opt_out_errors("2025550101, by email") == [
        "Row 1, phone: Write one number per line, or name the columns in row 1: phone,stopped_at,reason."
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("phone,mobile", "The columns in row 1 are wrong (unknown: mobile). Allowed columns: phone,stopped_at,reason."),
        ("phone,phone", "The columns in row 1 are wrong (duplicates). Allowed columns: phone,stopped_at,reason."),
        ('phone\n"2025550101', "Row 2 cannot be read as CSV. Check its quotation marks. (unexpected end of data)"),
    ],
)
def test_unreadable_file_error_gives_the_reason(text: str, message: str) -> None:
    with pytest.raises(CsvError) as raised:
        read_opt_outs(text, "US", NOW)
    assert str(raised.value) == message


@pytest.mark.parametrize("text", ["", "\n\n  \n", "phone,stopped_at"])
def test_empty_text_has_no_errors(text: str) -> None:
    assert read_opt_outs(text, "US", NOW) == CsvResult([], [], [])


def test_opt_in_row_has_all_four_columns() -> None:
    result = read_opt_ins(f"{HEADER}\nP-1,(202) 555-0101,2026-03-01,Paper form\n", "US", NOW)
    row = OptInRow(2, "P-1", "+12025550101", MARCH_MS, "Paper form", "2026-03-01")
    assert result == CsvResult([row], [], [])


@pytest.mark.parametrize(
    ("line", "column"),
    [
        (",2025550101,2026-03-01,form", "external_id"),
        ("P-1,,2026-03-01,form", "phone"),
        ("P-1,2025550101,,form", "opted_in_at"),
        ("P-1,2025550101,2027-03-01,form", "opted_in_at"),
        ("P-1,2025550101,2026-03-01, ", "evidence"),
        (f"P-1,2025550101,2026-03-01,{'x' * (MAX_TEXT_LENGTH + 1)}", "evidence"),
    ],
)
def test_missing_opt_in_cell_is_an_error_in_its_column(line: str, column: str) -> None:
    result = opt_in_errors(line)
    assert len(result) == 1
    assert result[0].startswith(f"Row 2, {column}: ")


def test_repeated_account_and_number_is_an_error() -> None:
    line = "P-1,2025550101,2026-03-01,form"
    assert opt_in_errors(line, line) == ["Row 3, phone: P-1 with this number is already in row 2."]


def test_opt_in_file_needs_all_columns() -> None:
    with pytest.raises(CsvError, match="missing: external_id, opted_in_at, evidence; unknown: name"):
        read_opt_ins("phone,name\n2025550101,x", "US", NOW)


def test_possible_unlisted_number_is_accepted_with_a_warning() -> None:
    result = read_opt_outs("(436) 234-5678\n+1 202 555 0101\n+1 202 555 01011", "US", NOW)
    assert [row.number for row in result.rows] == ["+14362345678", "+12025550101"]
    assert [str(warning) for warning in result.warnings] == [
        "Row 1, phone: +1 436-234-5678 is not in a known range: the range may be new, or a digit may be wrong. "
        "Check every digit. It is imported as it is."
    ]
    assert [row_error.row for row_error in result.errors] == [3], "too long for its country"


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_single_column_spreadsheet_export_is_read(mark: str) -> None:
    result = read_opt_outs(f'"+12025550101"{mark}{mark}\r\n+12025550102{mark}\r\n', "US", NOW)
    assert [row.number for row in result.rows] == ["+12025550101", "+12025550102"]


@pytest.mark.parametrize(("now", "ok"), [("2026-06-21T10:00:00Z", True), ("2026-06-21T09:59:59Z", False)])
def test_day_begun_in_the_earliest_time_zone_is_not_future(now: str, ok: bool) -> None:
    now_ms = round(datetime.fromisoformat(now).timestamp() * 1000)
    result = read_opt_outs("phone,stopped_at\n2025550101,2026-06-22", "US", now_ms)
    assert [(row.at_ms, row.day) for row in result.rows] == ([(now_ms, "2026-06-22")] if ok else [])
    assert bool(result.errors) is not ok

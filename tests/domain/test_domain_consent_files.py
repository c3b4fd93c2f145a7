"""Files of opt-outs and opt-ins: what is read, and every mistake by its row."""

from datetime import datetime

import pytest

from portal.domain.consent_files import LONGEST_WORDS, OptInRow, StopRow, read_opt_ins, read_stops
from portal.domain.csv_input import CsvError, Reading

NOW = 1_782_000_000_000
"""21 June 2026."""
MARCH_MS = 1_772_323_200_000
"""1 March 2026, midnight UTC."""
END_OF_DAY_MS = MARCH_MS + 86_399_999
HEADER = "external_id,phone,opted_in_at,evidence"


def stops(text: str) -> list[StopRow]:
    found = read_stops(text, "US", NOW)
    assert found.mistakes == []
    return found.rows


def mistakes_of_stops(text: str) -> list[str]:
    return [str(mistake) for mistake in read_stops(text, "US", NOW).mistakes]


def mistakes_of_opt_ins(*lines: str) -> list[str]:
    return [str(mistake) for mistake in read_opt_ins("\n".join([HEADER, *lines]), "US", NOW).mistakes]


def test_a_number_a_line_is_read_however_it_is_written() -> None:
    text = '\n(202) 555-0101\n+1 202-555-0102\r\n   \n\'+12025550103\n"2025550104"\n'
    assert [(row.row, row.number[-4:], row.at_ms) for row in stops(text)] == [
        (2, "0101", None),
        (3, "0102", None),
        (5, "0103", None),
        (6, "0104", None),
    ]


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_columns_may_come_in_any_order_and_with_the_marks_of_any_spreadsheet(mark: str) -> None:
    text = f"Reason{mark}PHONE{mark}stopped_at\nby email{mark}2025550101{mark}2026-03-01\n{mark}2025550102{mark}\n"
    assert stops(text) == [
        StopRow(2, "+12025550101", END_OF_DAY_MS, "by email", "2026-03-01"),
        StopRow(3, "+12025550102", None, ""),
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
    assert stops(f"phone,stopped_at\n2025550101,{text}")[0].at_ms == said


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("555", "Row 2, phone: There is no such number in US: check the digits, or start with + and the country code."),
        ("hello", "Row 2, phone: This is not a phone number. Write it like (201) 555-0123."),
        ("2025550101,2027-01-01", "Row 2, stopped_at: This lies in the future."),
        ("2025550101,0202-03-01", "Row 2, stopped_at: Check the year: there were no texts then."),
        (
            "2025550101,03/01/2026",
            "Row 2, stopped_at: Write the time like 2026-03-01T14:30:00Z, or the day like 2026-03-01.",
        ),
        ("2025550101,,a,b", "Row 2, whole row: There are 4 cells for 3 columns."),
        (f"2025550101,,{'x' * 1001}", "Row 2, reason: Keep it to 1,000 characters; this has 1,001."),
    ],
)
def test_every_mistake_in_a_file_of_opt_outs_names_its_row_and_the_way_out(line: str, sentence: str) -> None:
    assert mistakes_of_stops(f"phone,stopped_at,reason\n{line}") == [sentence]


def test_a_line_with_more_than_a_number_says_how_to_name_columns() -> None:
    assert mistakes_of_stops("2025550101, by email") == [
        "Row 1, phone: One number a line; or name the columns in row 1: phone,stopped_at,reason."
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("phone,mobile", "The columns in row 1 are not right (not known: mobile). They are phone,stopped_at,reason."),
        ("phone,phone", "The columns in row 1 are not right (some are named twice). They are phone,stopped_at,reason."),
        ('phone\n"2025550101', "Row 2 is not CSV: unexpected end of data."),
    ],
)
def test_a_file_that_cannot_be_read_says_why(text: str, words: str) -> None:
    with pytest.raises(CsvError) as refused:
        read_stops(text, "US", NOW)
    assert str(refused.value) == words


@pytest.mark.parametrize("text", ["", "\n\n  \n", "phone,stopped_at"])
def test_nothing_in_it_is_no_mistake(text: str) -> None:
    assert read_stops(text, "US", NOW) == Reading([], [], [])


def test_an_opt_in_has_all_four() -> None:
    found = read_opt_ins(f"{HEADER}\nP-1,(202) 555-0101,2026-03-01,Paper form\n", "US", NOW)
    row = OptInRow(2, "P-1", "+12025550101", MARCH_MS, "Paper form", "2026-03-01")
    assert found == Reading([row], [], [])


@pytest.mark.parametrize(
    ("line", "column"),
    [
        (",2025550101,2026-03-01,form", "external_id"),
        ("P-1,,2026-03-01,form", "phone"),
        ("P-1,2025550101,,form", "opted_in_at"),
        ("P-1,2025550101,2027-03-01,form", "opted_in_at"),
        ("P-1,2025550101,2026-03-01, ", "evidence"),
        (f"P-1,2025550101,2026-03-01,{'x' * (LONGEST_WORDS + 1)}", "evidence"),
    ],
)
def test_an_opt_in_without_one_of_them_is_a_mistake_in_that_column(line: str, column: str) -> None:
    found = mistakes_of_opt_ins(line)
    assert len(found) == 1
    assert found[0].startswith(f"Row 2, {column}: ")


def test_the_same_account_and_number_twice_is_a_mistake() -> None:
    line = "P-1,2025550101,2026-03-01,form"
    assert mistakes_of_opt_ins(line, line) == ["Row 3, phone: P-1 with this number is in row 2 already."]


def test_a_file_of_opt_ins_must_name_its_columns() -> None:
    with pytest.raises(CsvError, match="missing: external_id, opted_in_at, evidence; not known: name"):
        read_opt_ins("phone,name\n2025550101,x", "US", NOW)


def test_a_possible_number_in_no_table_is_taken_with_a_warning_that_names_it() -> None:
    found = read_stops("(436) 234-5678\n+1 202 555 0101\n+1 202 555 01011", "US", NOW)
    assert [row.number for row in found.rows] == ["+14362345678", "+12025550101"]
    assert [str(warning) for warning in found.warnings] == [
        "Row 1, phone: +1 436-234-5678 is in no list of numbers: it is new, or a digit is wrong. Check every digit. "
        "It is imported as it is."
    ]
    assert [mistake.row for mistake in found.mistakes] == [3], "too long for its country"


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_a_list_as_a_spreadsheet_exports_a_single_column_is_read(mark: str) -> None:
    found = read_stops(f'"+12025550101"{mark}{mark}\r\n+12025550102{mark}\r\n', "US", NOW)
    assert [row.number for row in found.rows] == ["+12025550101", "+12025550102"]


@pytest.mark.parametrize(("now", "ok"), [("2026-06-21T10:00:00Z", True), ("2026-06-21T09:59:59Z", False)])
def test_a_day_is_no_future_once_it_has_begun_where_it_begins_first(now: str, ok: bool) -> None:
    now_ms = round(datetime.fromisoformat(now).timestamp() * 1000)
    found = read_stops("phone,stopped_at\n2025550101,2026-06-22", "US", now_ms)
    assert [(row.at_ms, row.day) for row in found.rows] == ([(now_ms, "2026-06-22")] if ok else [])
    assert bool(found.mistakes) is not ok

import contextlib
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.accounts.rules.account_csv import AccountRow, decode_account_csv, read_account_csv
from portal.accounts.rules.account_fields import ACCOUNT_COLUMNS
from portal.accounts.rules.attribute_values import AttributeDefinition, AttributeKind, CheckedValue
from portal.core.rules.csv_input import CsvError, DecodedFile, RowError
from portal.core.rules.email_address import address_problem
from tests.support.spreadsheets.workbooks import workbook_of

HEADER = ",".join(ACCOUNT_COLUMNS)
GOOD = "P-1,Jordan Rivera,jordan@example.org,Practitioner,user,America/New_York,(202) 555-0100,,,"


NOW = 1_782_000_000_000
"""21 June 2026."""


def parse_accounts(*lines: str, header: str = HEADER) -> tuple[list[AccountRow], list[RowError]]:
    result = read_account_csv("\n".join([header, *lines]) + "\n", "US", NOW)
    return result.rows, result.errors


def only_row_error(*lines: str) -> str:
    _rows, errors = parse_accounts(*lines)
    assert len(errors) == 1, errors
    return str(errors[0])


def row(**changes: str) -> str:
    cells = dict(zip(ACCOUNT_COLUMNS, GOOD.split(","), strict=True)) | changes
    return ",".join(f'"{cells[column]}"' for column in ACCOUNT_COLUMNS)


def test_whole_row_becomes_an_account() -> None:
    rows, errors = parse_accounts(row(sms_opted_in_at="2026-03-01T14:30:00Z", sms_consent_source="paper form 12"))
    assert errors == []
    assert rows == [
        AccountRow(
            row_number=2,
            external_id="P-1",
            name="Jordan Rivera",
            email="jordan@example.org",
            account_type="Practitioner",
            role="user",
            timezone="America/New_York",
            phone="+12025550100",
            opted_in_at_ms=1_772_375_400_000,
            consent_source="paper form 12",
        )
    ]


def test_attribute_called_language_keeps_its_column() -> None:
    """Earlier releases allowed the key."""
    spoken = AttributeDefinition("language", "Language", AttributeKind.TEXT)
    text = "external_id,name,email,account_type,language\nP-1,Jordan,jordan@example.org,Provider,Tagalog\n"
    result = read_account_csv(text, "US", NOW, attributes=[spoken])
    assert result.errors == []
    assert (result.rows[0].language, result.rows[0].attributes["language"].value) == ("", "Tagalog")


def test_four_columns_are_enough() -> None:
    rows, errors = parse_accounts(
        "P-1,Jordan,jordan@example.org,Provider", header="external_id,name,email,account_type"
    )
    assert errors == []
    assert (rows[0].role, rows[0].timezone, rows[0].phone, rows[0].opted_in_at_ms) == ("user", "UTC", "", None)


@pytest.mark.parametrize(
    ("phone", "timezone", "expected"),
    [
        ("415 200 1234", "", "America/Los_Angeles"),
        ("415 200 1234", "America/New_York", "America/New_York"),
        ("800 234 5678", "", "UTC"),
        ("", "", "UTC"),
    ],
)
def test_missing_time_zone_comes_from_the_area_code(phone: str, timezone: str, expected: str) -> None:
    rows, errors = parse_accounts(row(phone=phone, timezone=timezone))
    assert errors == []
    assert rows[0].timezone == expected


def test_header_order_and_case_do_not_matter() -> None:
    rows, errors = parse_accounts(
        "Provider,jordan@example.org,Jordan,P-1", header=" Account_Type ,EMAIL,Name,External_ID"
    )
    assert errors == []
    assert (rows[0].external_id, rows[0].account_type) == ("P-1", "Provider")


def test_workbook_is_read_like_a_csv() -> None:
    cells = ["P-1", "Zoë, “Jo”\nÅngström", "z@example.org", "Practitioner", "", "", "", datetime(2026, 3, 1), "form"]
    raw = workbook_of([list(ACCOUNT_COLUMNS), [], cells[:5], ["P-2", *cells[1:]]])
    result = read_account_csv(decode_account_csv(raw).text, "US", NOW)
    assert [(read.row_number, read.name) for read in result.rows] == [(3, "Zoë, “Jo” Ångström")]
    assert [str(error) for error in result.errors] == ["Row 4, phone: An opt-in needs a phone number."]


def test_blank_lines_are_skipped_but_counted() -> None:
    rows, errors = parse_accounts("", row(), " , , ", row(external_id="P-2", email="nothing"))
    assert [row.row_number for row in rows] == [3]
    assert [(error.row, error.column) for error in errors] == [(5, "email")]


def test_cells_may_contain_commas_quotes_and_line_breaks() -> None:
    rows, errors = parse_accounts('P-1,"Rivera, ""Jo""\nJordan",jordan@example.org,Provider', row(external_id="P-2"))
    assert errors == []
    assert rows[0].name == 'Rivera, "Jo" Jordan'
    assert rows[1].row_number == 3


@pytest.mark.parametrize("line_ending", ["\r\n", "\r", "\n"])
def test_all_line_endings_are_supported(line_ending: str) -> None:
    result = read_account_csv(line_ending.join([HEADER, row(), row(external_id="P-2")]), "US", NOW)
    assert result.errors == []
    assert [row.external_id for row in result.rows] == ["P-1", "P-2"]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("name,email,account_type", "(missing: external_id)"),
        ("external_id,name,mail,account_type", "(missing: email; unknown: mail)"),
        (f"{HEADER},shoe_size", "(unknown: shoe_size)"),
        (f"{HEADER},name", "(duplicates)"),
        (HEADER.replace(",", "/"), "missing: external_id, name, email, account_type"),
        ("", "missing: external_id, name, email, account_type"),
        (",".join(f"c{index}" for index in range(200)), "unknown: c0, c1, c2, c3, c4 and 195 more"),
    ],
)
def test_wrong_header_error_lists_the_expected_columns(header: str, message: str) -> None:
    with pytest.raises(CsvError) as raised:
        parse_accounts(GOOD, header=header)
    assert message in str(raised.value)
    assert str(raised.value).endswith(f"The columns must be: {HEADER}.")
    assert len(str(raised.value)) < 400


def test_error_for_many_extra_columns_is_short() -> None:
    with pytest.raises(CsvError, match="and 195 more"):
        parse_accounts(GOOD, header=HEADER + "".join(f",c{index}" for index in range(200)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"external_id": ""}, "Row 2, external_id: This cell is empty."),
        ({"name": "  "}, "Row 2, name: This cell is empty."),
        ({"email": ""}, "Row 2, email: This cell is empty."),
        ({"account_type": ""}, "Row 2, account_type: This cell is empty."),
        ({"name": "x" * 201}, "Row 2, name: Use at most 200 characters; this has 201."),
        ({"email": "jordan"}, "Row 2, email: This is not an email address, such as name@example.org."),
        ({"role": "boss"}, "Row 2, role: The role must be one of user, admin, sysadmin, not 'boss'."),
        ({"role": "Admin"}, "Row 2, role: The role must be one of user, admin, sysadmin, not 'Admin'."),
        ({"timezone": "Eastern"}, "Row 2, timezone: There is no such time zone. Use a name such as America/New_York."),
        ({"timezone": "localtime"}, "Row 2, timezone: There is no such time zone."),
        ({"timezone": "posix/Europe/Berlin"}, "Row 2, timezone: There is no such time zone."),
        ({"phone": "12"}, "Row 2, phone: This is not a valid US number"),
        ({"phone": "+11234567890"}, "Row 2, phone: This is not a valid US number"),
        ({"phone": "call me"}, "Row 2, phone: This is not a phone number. Write it like (201) 555-0123."),
        ({"sms_opted_in_at": "2026-03-01"}, "Row 2, sms_consent_source: An opt-in needs both a time and a source."),
        ({"sms_consent_source": "web"}, "Row 2, sms_opted_in_at: An opt-in needs both a time and a source."),
        (
            {"sms_opted_in_at": "last week", "sms_consent_source": "web"},
            "Row 2, sms_opted_in_at: Write the time like 2026-03-01T14:30:00Z, or the day like 2026-03-01.",
        ),
        (
            {"sms_opted_in_at": "2062-03-01", "sms_consent_source": "web"},
            "Row 2, sms_opted_in_at: This is in the future.",
        ),
        (
            {"sms_opted_in_at": "2026-06-21T00:00:01Z", "sms_consent_source": "web"},
            "Row 2, sms_opted_in_at: This is in the future.",
        ),
        (
            {"sms_opted_in_at": "9999-12-31T23:59:59-14:00", "sms_consent_source": "web"},
            "Row 2, sms_opted_in_at: This is in the future.",
        ),
        (
            {"sms_opted_in_at": "1989-12-31", "sms_consent_source": "web"},
            "Row 2, sms_opted_in_at: Check the year: text messages did not exist then.",
        ),
        ({"phone": "202-555-5OOO"}, "Row 2, phone: Write digits only: “OOO” are letters."),
        (
            {"phone": "1-800-FLOWERS"},
            "Row 2, phone: With its letters as digits this is +1 800-356-9377. Check every digit. Then write",
        ),
        (
            {"phone": "", "sms_opted_in_at": "2026-03-01", "sms_consent_source": "web"},
            "Row 2, phone: An opt-in needs a phone number.",
        ),
    ],
)
def test_error_names_row_and_column(changes: dict[str, str], message: str) -> None:
    assert only_row_error(row(**changes)).startswith(message)


def test_all_errors_are_reported() -> None:
    rows, errors = parse_accounts(
        row(email="x", phone="y", role="z"), row(external_id="P-2"), row(external_id="P-3", name="")
    )
    assert [row.external_id for row in rows] == ["P-2"]
    assert [(error.row, error.column) for error in errors] == [(2, "phone"), (2, "email"), (2, "role"), (4, "name")]


def test_extra_cells_are_an_error_of_the_whole_row() -> None:
    assert only_row_error(GOOD + ",one,two") == "Row 2, whole row: There are 12 cells for 10 columns."


def test_missing_cells_count_as_empty() -> None:
    rows, errors = parse_accounts("P-1,Jordan")
    assert rows == []
    assert [error.column for error in errors] == ["email", "account_type"]


def test_duplicate_account_number_error_names_both_rows() -> None:
    assert only_row_error(row(), row(external_id="P-2"), row()) == "Row 4, external_id: P-1 is already in row 2."


def test_row_numbers_have_thousands_separators() -> None:
    assert str(RowError(12345, "email", "No.")) == "Row 12,345, email: No."


@pytest.mark.parametrize(
    ("written", "timezone", "at_ms"),
    [
        ("2026-03-01T14:30:00Z", "UTC", 1_772_375_400_000),
        ("2026-03-01T14:30:00+01:00", "UTC", 1_772_371_800_000),
        ("2026-03-01 14:30", "UTC", 1_772_375_400_000),
        ("2026-03-01T14:30:00", "America/New_York", 1_772_393_400_000),
        ("2026-03-01T14:30:00Z", "America/New_York", 1_772_375_400_000),
        ("2026-03-01", "", 1_772_323_200_000),
        ("1990-01-01T00:00:00Z", "", 631_152_000_000),
    ],
)
def test_time_without_a_zone_uses_the_accounts_time_zone(written: str, timezone: str, at_ms: int) -> None:
    rows, errors = parse_accounts(row(sms_opted_in_at=written, sms_consent_source="web", timezone=timezone))
    assert errors == []
    assert rows[0].opted_in_at_ms == at_ms


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            'P-1,"Jordan,jordan@example.org,Provider',
            "Row 2 cannot be read as CSV. Check its quotation marks. (unexpected end of data)",
        ),
        (
            'P-1,"Jordan"x,jordan@example.org,Provider',
            "Row 2 cannot be read as CSV. Check its quotation marks. (',' expected after '\"')",
        ),
        (
            f"P-1,{'x' * 200_000},jordan@example.org,Provider",
            "Row 2 cannot be read as CSV. Check its quotation marks. (field larger than field limit",
        ),
    ],
)
def test_broken_quotes_error_names_the_row(line: str, message: str) -> None:
    with pytest.raises(CsvError) as raised:
        parse_accounts(line)
    assert str(raised.value).startswith(message)


def test_progress_is_reported_per_row() -> None:
    reported: list[int] = []
    read_account_csv(f"{HEADER}\n{row()}\n{row(external_id='P-2')}\n", "US", NOW, reported.append)
    assert reported == [2, 3]


def test_utf_8_byte_order_mark_is_optional() -> None:
    text = f"{HEADER}\n{row(name='Zoë Ångström')}\n"
    assert decode_account_csv(text.encode()) == decode_account_csv(text.encode("utf-8-sig")) == DecodedFile(text)
    assert read_account_csv(decode_account_csv(text.encode("utf-8-sig")).text, "US", NOW).rows[0].name == "Zoë Ångström"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "The file is empty. Its first row must name the columns: external_id,name"),
        (b" \r\n \n", "The file is empty."),
        (b"a\nb\nZo\x81", "Row 3 is not UTF-8. Save the file as “CSV UTF-8”."),
        (HEADER.encode("utf-16") + b"\x00\xd8", "The file starts as UTF-16 but is damaged further on."),
        (HEADER.encode("utf-16-be"), "The file contains binary data, so it is not a CSV."),
        (b"external_id\x00,name", "The file contains binary data, so it is not a CSV."),
        (b"PK\x03\x04\x14\x00\x06\x00\x08\x00\xff\xd8", "The workbook is damaged."),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "This workbook is encrypted or has an older format."),
    ],
)
def test_undecodable_file_error_says_what_to_do(raw: bytes, message: str) -> None:
    with pytest.raises(CsvError) as raised:
        decode_account_csv(raw)
    assert str(raised.value).startswith(message)


def test_header_alone_gives_no_rows_or_errors() -> None:
    assert parse_accounts() == ([], [])


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_parsed_or_rejected(raw: bytes) -> None:
    with contextlib.suppress(CsvError):
        read_account_csv(decode_account_csv(HEADER.encode() + b"\n" + raw).text, "US", NOW)


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=11), max_size=5))
def test_every_filled_row_is_accepted_or_reported(lines: list[list[str]]) -> None:
    csv_lines = [",".join('"{}"'.format(cell.replace('"', '""')) for cell in cells) for cells in lines]
    result = read_account_csv("\n".join([HEADER, *csv_lines]).replace("\x00", ""), "US", NOW)
    accepted, rejected = {row.row_number for row in result.rows}, {error.row for error in result.errors}
    filled = {
        index for index, cells in enumerate(lines, start=2) if any(cell.replace("\x00", "").strip() for cell in cells)
    }
    assert accepted | rejected == filled
    assert all(error.column == "external_id" for error in result.errors if error.row in accepted)


@pytest.mark.parametrize("text", ["a@example.org", "first.last+tag@sub.example.org", "o'neill@example.org"])
def test_valid_email_addresses_are_accepted(text: str) -> None:
    assert address_problem(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a@b",
        "@example.org",
        "a@",
        "a b@example.org",
        "a@example.org, b@example.org",
        "A <a@example.org>",
        "a@example.org\n",
        "a@exa\nmple.org",
        "a@@example.org",
        ".a@example.org",
        "a@example..org",
        f"{'x' * 250}@e.org",
    ],
)
def test_invalid_email_error_gives_an_example(text: str) -> None:
    assert address_problem(text) == "This is not an email address, such as name@example.org."


def test_columns_of_attributes_are_read_by_their_kind() -> None:
    expires_on = AttributeDefinition("expires_on", "Expires on", AttributeKind.DATE)
    region = AttributeDefinition("region", "Region", AttributeKind.CHOICE, ("North", "South"))
    lines = [f"{HEADER},expires_on", f"{row()},5/28/2027", f"{row(external_id='P-2')},"]
    rows = read_account_csv("\n".join(lines), "US", NOW, attributes=[expires_on, region]).rows
    assert [result.attributes for result in rows] == [{"expires_on": CheckedValue("2027-05-28", "2027-05-28")}, {}]


def test_error_in_an_attribute_names_its_row_and_column() -> None:
    credits = AttributeDefinition("credits", "Credits", AttributeKind.NUMBER)
    result = read_account_csv(f"{HEADER},credits\n{row()},many", "US", NOW, attributes=[credits])
    assert [(error.row, error.column) for error in result.errors] == [(2, "credits")]

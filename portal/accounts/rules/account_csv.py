"""Parse a CSV file of accounts into checked rows. Every error names its row and column."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from portal.accounts.rules.account_fields import ACCOUNT_COLUMNS, REQUIRED_COLUMNS
from portal.accounts.rules.attribute_values import AttributeDefinition, AttributeValueError, CheckedValue
from portal.accounts.rules.phone_cells import parse_phone_cell
from portal.accounts.rules.roles import ROLES
from portal.core.rules import csv_input, text_input
from portal.core.rules.case_folding import fold_case
from portal.core.rules.csv_input import CsvError, CsvResult, CsvRow, DecodedFile, RowError
from portal.core.rules.email_address import address_problem
from portal.core.rules.phone import likely_time_zone
from portal.core.rules.spreadsheets.spreadsheet_rows import decode_spreadsheet
from portal.core.rules.time_format import ParsedTime, TimeFormatError, parse_time
from portal.core.rules.time_zones import timezone_or_utc, timezone_problem
from portal.core.translation import gettext as _
from portal.core.translation import language_problem

_MAX_CELL_LENGTH = 200


@dataclass(frozen=True)
class AccountRow:
    """`opted_in_*` and `consent_source` are an opt-in given elsewhere, `opted_in_day` if only the day is known."""

    row_number: int
    external_id: str
    name: str
    email: str
    account_type: str
    role: str
    timezone: str
    phone: str
    opted_in_at_ms: int | None
    consent_source: str
    opted_in_day: str = ""
    attributes: Mapping[str, CheckedValue] = field(default_factory=dict)
    """By key, without blank ones."""
    language: str = ""


def decode_account_csv(raw: bytes) -> DecodedFile:
    """Raises `CsvError`; for an empty file it lists the columns."""
    if not raw.strip():
        raise CsvError(
            _("The file is empty. Its first row must name the columns: %(columns)s.", columns=",".join(ACCOUNT_COLUMNS))
        )
    return decode_spreadsheet(raw)


def read_account_csv(
    text: str,
    region: str,
    now_ms: int,
    progress: Callable[[int], None] = lambda _row: None,
    attributes: Sequence[AttributeDefinition] = (),
    default_zone: str = "UTC",
) -> CsvResult[AccountRow]:
    """A column may have the key of one of the `attributes`. Raises `CsvError` if the header is wrong."""
    columns = (*ACCOUNT_COLUMNS, *(attribute.key for attribute in attributes))
    present = [attribute for attribute in attributes if csv_input.has_column(text, attribute.key)]
    read_row = row_reader(region, now_ms, present, default_zone=default_zone)
    result = csv_input.read_table(text, columns, REQUIRED_COLUMNS, read_row, progress)
    errors = sorted([*result.errors, *_find_duplicates(result.rows)], key=lambda error: error.row)
    return replace(result, errors=errors)


def row_reader(
    region: str,
    now_ms: int,
    attributes: Sequence[AttributeDefinition],
    required: Sequence[str] = REQUIRED_COLUMNS,
    with_defaults: bool = True,
    default_zone: str = "UTC",
) -> Callable[[CsvRow], AccountRow]:
    """Without `with_defaults`, a blank role or time zone stays blank.

    Earlier releases let an attribute have the key `language`; the column is then that of the attribute.
    """
    keys = {attribute.key for attribute in attributes}
    columns = [column for column in ACCOUNT_COLUMNS if column not in keys]

    def read(cells: CsvRow) -> AccountRow:
        text = {column: _CLEANERS.get(column, text_input.clean_code)(cells[column]) for column in columns}
        phone = parse_phone_cell(cells, "phone", text["phone"], region) if text["phone"] else ""
        opted_in = _parse_opt_in(cells, text, now_ms)
        _check_row(cells, text, required)
        row = AccountRow(
            cells.row_number,
            **{column: text[column] for column in REQUIRED_COLUMNS},
            role=text["role"],
            timezone=text["timezone"],
            phone=phone,
            opted_in_at_ms=opted_in.at_ms if opted_in else None,
            consent_source=text["sms_consent_source"],
            opted_in_day=opted_in.day if opted_in else "",
            attributes=read_attributes(cells, attributes, region) if attributes else {},
            language=text.get("language", "").lower(),
        )
        return complete_row(row, default_zone) if with_defaults else row

    return read


def complete_row(row: AccountRow, default_zone: str = "UTC") -> AccountRow:
    """With the role and the time zone of a new account, where the file has none."""
    zone = row.timezone or (likely_time_zone(row.phone) if row.phone else None) or default_zone
    return replace(row, role=row.role or ROLES[0], timezone=zone)


def read_attributes(cells: CsvRow, attributes: Sequence[AttributeDefinition], region: str) -> dict[str, CheckedValue]:
    """The values by key, without blank ones. Adds the errors to the row."""
    values = {}
    for attribute in attributes:
        try:
            if value := attribute.parse(cells[attribute.key], region):
                values[attribute.key] = value
        except AttributeValueError as error:
            cells.add_error(attribute.key, str(error))
    return values


_CLEANERS = dict.fromkeys(("name", "account_type", "sms_consent_source"), text_input.clean_line)


def _check_row(cells: CsvRow, text: Mapping[str, str], required: Sequence[str]) -> None:
    for column in required:
        if not text[column]:
            cells.add_error(column, _("This cell is empty."))
    for column in text:
        cells.add_error(column, _cell_problem(column, cells[column]))
    if text["email"]:
        cells.add_error("email", address_problem(text["email"]))
    if text["role"] and text["role"] not in ROLES:
        cells.add_error(
            "role",
            _("The role must be one of %(roles)s, not %(role)s.", roles=", ".join(ROLES), role=repr(text["role"])),
        )
    if text["timezone"]:
        cells.add_error("timezone", timezone_problem(text["timezone"]))
    if text.get("language"):
        cells.add_error("language", language_problem(text["language"]))


def _parse_opt_in(cells: CsvRow, text: Mapping[str, str], now_ms: int) -> ParsedTime | None:
    """When the opt-in was given. A time without a zone is in the time zone of the account."""
    opted_in_at, source = text["sms_opted_in_at"], text["sms_consent_source"]
    if bool(opted_in_at) != bool(source):
        missing = "sms_consent_source" if opted_in_at else "sms_opted_in_at"
        cells.add_error(missing, _("An opt-in needs both a time and a source."))
        return None
    if opted_in_at and not text["phone"]:
        cells.add_error("phone", _("An opt-in needs a phone number."))
    try:
        return parse_time(opted_in_at, timezone_or_utc(text["timezone"]), now_ms) if opted_in_at else None
    except TimeFormatError as error:
        cells.add_error("sms_opted_in_at", str(error))
        return None


def _cell_problem(column: str, text: str) -> str | None:
    if column == "external_id" and not text.isprintable():
        return _("This contains a line break or another invisible character.")
    return length_problem(text)


def length_problem(text: str) -> str | None:
    """Of a field of an account, wherever it comes from."""
    if len(text) <= _MAX_CELL_LENGTH:
        return None
    return _("Use at most %(limit)s characters; this has %(count)s.", limit=_MAX_CELL_LENGTH, count=len(text))


def _find_duplicates(rows: Iterable[AccountRow]) -> list[RowError]:
    first_rows: dict[str, AccountRow] = {}
    errors = []
    for row in rows:
        first = first_rows.setdefault(fold_case(row.external_id), row)
        if first is not row:
            message = _("%(account)s is already in row %(row)s.", account=row.external_id, row=first.row_number)
            if first.external_id != row.external_id:
                message = _(
                    "%(account)s is already in row %(row)s, written as %(other)s.",
                    account=row.external_id,
                    row=first.row_number,
                    other=first.external_id,
                )
            errors.append(RowError(row.row_number, "external_id", message))
    return errors

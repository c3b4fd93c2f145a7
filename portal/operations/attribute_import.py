"""Import attributes of accounts that exist, from a CSV file: the whole file or nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from portal.accounts.rules.account_csv import read_attributes
from portal.accounts.rules.attribute_values import AttributeDefinition, CheckedValue
from portal.accounts.tables import attributes
from portal.accounts.tables.accounts import AccountRef, find_by_external_ids
from portal.accounts.tables.attributes import AttributeValue, all_attributes
from portal.consent.account_import import ImportRejected
from portal.core.audit_log import record_audit_entry
from portal.core.context import settings
from portal.core.errors import ActionRefused
from portal.core.rules import csv_input, text_input
from portal.core.rules.case_folding import fold_case
from portal.core.rules.csv_input import CsvResult, CsvRow, RowError
from portal.core.statements import refresh_statistics
from portal.core.transaction import transaction
from portal.core.translation import gettext as _

_KEY_COLUMN = "external_id"
_CHUNK_SIZE = 1_000


@dataclass(frozen=True)
class _ValuesRow:
    row_number: int
    external_id: str
    values: dict[str, CheckedValue]


@dataclass(frozen=True)
class AttributeImportResult:
    accounts: int
    values: int
    warnings: tuple[str, ...]


def import_attributes(raw: bytes, now_ms: int) -> AttributeImportResult:
    """Set the values in a file with a column `external_id` and others named by keys. A blank cell changes nothing.

    Raises `ImportRejected` for errors in rows, `ActionRefused` for the file as a whole.
    """
    declared = all_attributes()
    ids = {attribute.key: attribute.id for attribute in declared}
    file = csv_input.decode_csv(raw)
    result = _read(file.text, [attribute.definition for attribute in declared])
    accounts = find_by_external_ids([row.external_id for row in result.rows])
    if errors := [*result.errors, *_unknown_accounts(result.rows, accounts), *_duplicates(result.rows)]:
        raise ImportRejected(errors, result.stopped_at_row)
    values = [
        {"account_id": accounts[row.external_id].id, "attribute_id": ids[key], **vars(value)}
        for row in result.rows
        for key, value in row.values.items()
    ]
    detail = {"accounts": len(result.rows), "values": len(values)}
    with transaction():
        for start in range(0, len(values), _CHUNK_SIZE):
            attributes.put_values(values[start : start + _CHUNK_SIZE])
        record_audit_entry("attributes_imported", "a file", None, now_ms, **detail)
        refresh_statistics(AttributeValue)
    return AttributeImportResult(**detail, warnings=file.warnings)


def _read(text: str, declared: Sequence[AttributeDefinition]) -> CsvResult[_ValuesRow]:
    present = [attribute for attribute in declared if csv_input.has_column(text, attribute.key)]
    columns, region = (_KEY_COLUMN, *(attribute.key for attribute in declared)), settings().region

    def read(cells: CsvRow) -> _ValuesRow:
        external_id = text_input.clean_code(cells[_KEY_COLUMN])
        cells.add_error(_KEY_COLUMN, None if external_id else _("This cell is empty."))
        return _ValuesRow(cells.row_number, external_id, read_attributes(cells, present, region))

    result = csv_input.read_table(text, columns, (_KEY_COLUMN,), read)
    if not present:
        names = ", ".join(columns[1:]) or _("none")
        raise ActionRefused(_("The file has no column of an attribute. The attributes are: %(names)s.", names=names))
    return replace(result, rows=[row for row in result.rows if row.values])


def _unknown_accounts(rows: Sequence[_ValuesRow], accounts: dict[str, AccountRef]) -> list[RowError]:
    return [
        RowError(row.row_number, _KEY_COLUMN, _("No account has the number %(account)s.", account=row.external_id))
        for row in rows
        if row.external_id not in accounts
    ]


def _duplicates(rows: Sequence[_ValuesRow]) -> list[RowError]:
    first_rows: dict[str, int] = {}
    duplicates = [
        (row, first)
        for row in rows
        if (first := first_rows.setdefault(fold_case(row.external_id), row.row_number)) != row.row_number
    ]
    return [
        RowError(
            row.row_number,
            _KEY_COLUMN,
            _("%(account)s is already in row %(row)s.", account=row.external_id, row=first),
        )
        for row, first in duplicates
    ]

"""The rows of a file of accounts, a part after the other, and what each would do."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from portal.accounts.account_permissions import role_of
from portal.accounts.rules.account_csv import AccountRow, row_reader
from portal.accounts.rules.account_fields import ACCOUNT_COLUMNS
from portal.accounts.tables.attributes import Attribute
from portal.consent.tables.import_tasks import ImportTask
from portal.core.actor import Actor
from portal.core.context import settings
from portal.core.extensions import db
from portal.core.rules import csv_input
from portal.core.rules.case_folding import fold_case
from portal.core.rules.csv_input import CsvRow
from portal.core.rules.spreadsheets.spreadsheet_rows import column_letter
from portal.gateways import job_reports
from portal.people.rules.account_changes import ImportRules, RowOutcome, compare
from portal.people.tables.known_accounts import known_accounts

KEY_COLUMN = "external_id"
_CHUNK_SIZE = 500
ReadRow = tuple[CsvRow, AccountRow]


@dataclass(frozen=True)
class AccountFile:
    """The rows of a file below its header; `names` are the columns in their order."""

    names: list[str]
    rows: Iterator[ReadRow]
    keys: list[str]
    """The attributes that have a column."""

    def label(self, column: str) -> str:
        """How a spreadsheet shows the column: its letter and its heading."""
        return f"{column_letter(self.names.index(column))}, {column}" if column in self.names else column


def open_accounts(text: str, declared: Sequence[Attribute], now_ms: int) -> AccountFile:
    """Raises `CsvError`."""
    columns = [*ACCOUNT_COLUMNS, *(attribute.key for attribute in declared)]
    records = csv_input.open_records(text, columns)
    header_row, cells = next(records, (1, []))
    names = csv_input.read_header(header_row, cells, columns, (KEY_COLUMN,))
    present = [attribute for attribute in declared if attribute.key in names]
    read = row_reader(settings().region, now_ms, [a.definition for a in present], (KEY_COLUMN,), with_defaults=False)
    rows = (csv_input.make_row(row, cells, names) for row, cells in records)
    return AccountFile(names, ((row, read(row)) for row in rows), [attribute.key for attribute in present])


def import_rules(task_id: int, actor: Actor, keys: Sequence[str]) -> ImportRules:
    options = db.session.get_one(ImportTask, task_id).options or {}
    return ImportRules(role_of(actor.account_id), actor.account_id, tuple(keys), bool(options.get("erase_blanks")))


def chunks(rows: Iterator[ReadRow]) -> Iterator[list[ReadRow]]:
    while chunk := list(islice(rows, _CHUNK_SIZE)):
        yield chunk


def row_outcomes(rows: Sequence[AccountRow], rules: ImportRules, with_lock: bool = False) -> list[RowOutcome]:
    known = known_accounts([row.external_id for row in rows], rules.keys, with_lock)
    accounts = [known.get(fold_case(row.external_id)) for row in rows]
    return [
        RowOutcome(row, account, compare(row, account, rules) if account else ())
        for row, account in zip(rows, accounts, strict=True)
    ]


def report_rows(done: int, total: int) -> None:
    job_reports.report_progress(settings().redis_url, min(done, total), total, "rows")

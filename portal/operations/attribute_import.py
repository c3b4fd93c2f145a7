"""Import attributes of accounts that exist, from a CSV file or a workbook: the whole file or nothing.

In the browser, a worker checks the file and shows what would change before somebody confirms it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from portal.accounts.account_management import erased_message
from portal.accounts.account_permissions import role_of
from portal.accounts.rules.access_rules import acting_problem
from portal.accounts.rules.account_csv import read_attributes
from portal.accounts.rules.attribute_values import AttributeDefinition, CheckedValue
from portal.accounts.tables import attributes
from portal.accounts.tables.accounts import AccountRef, find_by_external_ids
from portal.accounts.tables.attributes import Attribute, AttributeValue, all_attributes, values_of
from portal.consent import background_imports
from portal.consent.account_import import ImportRejected
from portal.consent.background_imports import ImportSteps
from portal.consent.tables.import_tasks import ImportTaskKind
from portal.core.actor import SHELL_ACTOR, Actor
from portal.core.audit_log import record_audit_entries, record_audit_entry
from portal.core.context import settings
from portal.core.errors import ActionRefused
from portal.core.rules import csv_input, text_input
from portal.core.rules.case_folding import fold_case
from portal.core.rules.csv_input import CsvResult, CsvRow, RowError
from portal.core.rules.spreadsheets.spreadsheet_rows import decode_spreadsheet
from portal.core.statements import refresh_statistics
from portal.core.transaction import transaction
from portal.core.translation import gettext as _
from portal.core.translation import ngettext
from portal.gateways import job_reports

KEY_COLUMN = "external_id"
_CHUNK_SIZE = 1_000
_CHANGES_SHOWN = 50


@dataclass(frozen=True)
class ValueChange:
    """`before` is "" for a new value."""

    row_number: int
    account_id: int
    external_id: str
    attribute: Attribute
    before: str
    value: CheckedValue


@dataclass(frozen=True)
class AttributeImportPlan:
    """`changes` are the values that differ from those of the accounts; of `accounts` accounts in the file."""

    accounts: int
    changes: Sequence[ValueChange]
    unchanged: int

    @property
    def new(self) -> int:
        return sum(not change.before for change in self.changes)

    @property
    def changed(self) -> int:
        return len(self.changes) - self.new

    @property
    def values(self) -> int:
        return len(self.changes) + self.unchanged

    @property
    def summary(self) -> str:
        """What the import did, for people."""
        sentences = [
            ngettext("%(num)s value was added.", "%(num)s values were added.", self.new),
            ngettext("%(num)s value was changed.", "%(num)s values were changed.", self.changed),
            ngettext("%(num)s value was there already.", "%(num)s values were there already.", self.unchanged),
        ]
        return " ".join(sentences)


@dataclass(frozen=True)
class _ValuesRow:
    row_number: int
    external_id: str
    values: Mapping[str, CheckedValue]


def import_attributes(raw: bytes, now_ms: int) -> tuple[AttributeImportPlan, tuple[str, ...]]:
    """Set the values in a file with a column `external_id` and others named by keys. A blank cell changes nothing.

    What was done, and warnings about the file. Raises `ImportRejected` for errors in rows, `ActionRefused` for the file
    as a whole.
    """
    file = decode_spreadsheet(raw)
    return import_text(file.text, SHELL_ACTOR, now_ms), file.warnings


def import_text(
    text: str,
    actor: Actor,
    now_ms: int,
    before_commit: Callable[[AttributeImportPlan], None] = lambda _plan: None,
    task_id: int | None = None,
) -> AttributeImportPlan:
    """Raises as `import_attributes` does. `before_commit` belongs to the same transaction."""
    plan = _plan(text, actor)
    rows = [
        {"account_id": change.account_id, "attribute_id": change.attribute.id, **vars(change.value)}
        for change in plan.changes
    ]
    source = {"task_id": task_id} if task_id else {}
    detail = {"accounts": plan.accounts, "new": plan.new, "changed": plan.changed, "unchanged": plan.unchanged}
    with transaction():
        for start in range(0, len(rows), _CHUNK_SIZE):
            attributes.put_values(rows[start : start + _CHUNK_SIZE])
            _report_progress(min(start + _CHUNK_SIZE, len(rows)), len(rows))
        record_audit_entries("account_changed", _audit_details(plan.changes, source), actor.account_id, now_ms)
        record_audit_entry("attributes_imported", "a file", actor.account_id, now_ms, **detail, **source)
        refresh_statistics(AttributeValue)
        before_commit(plan)
    return plan


def _audit_details(changes: Sequence[ValueChange], source: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """By the account, everything that changes about it."""
    details: dict[str, dict[str, Any]] = {}
    for change in changes:
        values = {"account_id": change.account_id, "changes": "", **source}
        detail = details.setdefault(f"account {change.external_id}", values)
        described = f"{change.attribute.label}: {change.before or '–'} → {change.value.value}"
        detail["changes"] = f"{detail['changes']}; {described}".lstrip("; ")
    return details


def check_text(text: str, actor: Actor, _task_id: int, _now_ms: int) -> dict[str, Any]:
    """What an import would do, as `admin/attributes/import_one.html` shows it. Raises as `import_attributes` does."""
    plan = _plan(text, actor)
    counts = {name: getattr(plan, name) for name in ("accounts", "new", "changed", "unchanged")}
    return {**counts, "changes": [_shown(change) for change in plan.changes[:_CHANGES_SHOWN]]}


def _shown(change: ValueChange) -> dict[str, Any]:
    names = {"account": change.external_id, "attribute": change.attribute.label}
    return {"row": change.row_number, **names, "before": change.before, "after": change.value.value}


def _plan(text: str, actor: Actor) -> AttributeImportPlan:
    declared = {attribute.key: attribute for attribute in all_attributes()}
    result = _read(text, [attribute.definition for attribute in declared.values()])
    accounts = find_by_external_ids([row.external_id for row in result.rows])
    if errors := [*result.errors, *_unknown_accounts(result.rows, accounts, actor), *_duplicates(result.rows)]:
        raise ImportRejected(errors, result.stopped_at_row)
    keys = {key for row in result.rows for key in row.values}
    stored = values_of([accounts[row.external_id].id for row in result.rows], keys)
    values = [
        ValueChange(row.row_number, account.id, account.external_id, declared[key], before.get(key, ""), value)
        for row in result.rows
        for account in [accounts[row.external_id]]
        for before in [stored.get(account.id, {})]
        for key, value in row.values.items()
    ]
    changes = [value for value in values if value.before != value.value.value]
    return AttributeImportPlan(len(result.rows), changes, len(values) - len(changes))


def _read(text: str, declared: Sequence[AttributeDefinition]) -> CsvResult[_ValuesRow]:
    present = [attribute for attribute in declared if csv_input.has_column(text, attribute.key)]
    columns, region = (KEY_COLUMN, *(attribute.key for attribute in declared)), settings().region
    total = text.count("\n")

    def read(cells: CsvRow) -> _ValuesRow:
        external_id = text_input.clean_code(cells[KEY_COLUMN])
        cells.add_error(KEY_COLUMN, None if external_id else _("This cell is empty."))
        return _ValuesRow(cells.row_number, external_id, read_attributes(cells, present, region))

    result = csv_input.read_table(text, columns, (KEY_COLUMN,), read, lambda row: _report_row(row, total))
    if not present:
        names = ", ".join(columns[1:]) or _("none")
        raise ActionRefused(_("The file has no column of an attribute. The attributes are: %(names)s.", names=names))
    return replace(result, rows=[row for row in result.rows if row.values])


def _report_row(row: int, total: int) -> None:
    if row % _CHUNK_SIZE == 0:
        _report_progress(min(row, total), total)


def _report_progress(done: int, total: int) -> None:
    job_reports.report_progress(settings().redis_url, done, total, "rows")


def _unknown_accounts(rows: Sequence[_ValuesRow], accounts: dict[str, AccountRef], actor: Actor) -> list[RowError]:
    actor_role = role_of(actor.account_id)
    return [
        RowError(row.row_number, KEY_COLUMN, problem)
        for row in rows
        if (problem := _account_problem(row.external_id, accounts.get(row.external_id), actor_role))
    ]


def _account_problem(external_id: str, account: AccountRef | None, actor_role: str) -> str:
    if account is None:
        return _("No account has the number %(account)s.", account=external_id)
    erased = erased_message(account.external_id) if account.is_erased else ""
    return acting_problem(actor_role, account.role) or erased


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
            KEY_COLUMN,
            _("%(account)s is already in row %(row)s.", account=row.external_id, row=first),
        )
        for row, first in duplicates
    ]


background_imports.IMPORTS[ImportTaskKind.ATTRIBUTES] = ImportSteps(import_text, check_text)

"""Check a file of accounts: what is new, what changes, what is wrong. Nothing is written but what was found."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from portal.accounts import smtputf8_check
from portal.accounts.rules.account_csv import AccountRow
from portal.accounts.tables.attributes import all_attributes
from portal.consent.account_import import ImportRejected
from portal.core.actor import Actor
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.rules.case_folding import fold_case
from portal.core.rules.csv_input import MAX_ROW_ERRORS, RowError
from portal.core.rules.email_address import needs_smtputf8
from portal.core.translation import gettext as _
from portal.core.translation import ngettext
from portal.people.account_rows import (
    KEY_COLUMN,
    AccountFile,
    ReadRow,
    chunks,
    import_rules,
    open_accounts,
    report_rows,
    row_outcomes,
)
from portal.people.rules.account_changes import ImportRules, RowOutcome, pack_previewed_rows, row_problems

_ROWS = 2**24
"""More than any file has."""
_CHANGES_SHOWN, _NEW_SHOWN, _ERRORS_SHOWN = 50, 20, 100


@dataclass
class AccountCheck:
    """What the check of a file has found so far."""

    file: AccountFile
    rules: ImportRules
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("new", "changed", "unchanged", "errors"), 0))
    changes: list[dict[str, Any]] = field(default_factory=list)
    created: list[dict[str, Any]] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    previewed_rows: bytearray = field(default_factory=bytearray)
    ignored_opt_ins: int = 0
    first_rows: dict[str, int] = field(default_factory=dict)
    newest_opt_ins: dict[int, int] = field(default_factory=dict)
    """By the digits of the number: the time, and in the lowest bits the row. A file may have 200,000 of them."""
    older_opt_ins: list[int] = field(default_factory=list)

    def add(self, chunk: Sequence[ReadRow]) -> None:
        bad = [cells.errors for cells, _row in chunk if cells.errors]
        good = [row for cells, row in chunk if not cells.errors]
        outcomes = row_outcomes(good, self.rules)
        emails = [row.email for row in good if needs_smtputf8(row.email)]
        problem = smtputf8_check.smtputf8_problem(emails) if emails else None
        kept = []
        for outcome in outcomes:
            if errors := [*row_problems(outcome.row, outcome.known, self.rules), *self._problems(outcome.row, problem)]:
                bad.append(errors)
            else:
                kept.append(outcome)
        for errors in bad:
            self._add_errors(errors)
        self.previewed_rows += pack_previewed_rows(kept)
        for outcome in kept:
            self._add_outcome(outcome)
        for cells, _row in chunk:
            self.warnings += map(str, cells.warnings[: max(0, _CHANGES_SHOWN - len(self.warnings))])

    def _problems(self, row: AccountRow, email_problem: str | None) -> Iterator[RowError]:
        if email_problem and needs_smtputf8(row.email):
            yield RowError(row.row_number, "email", email_problem)
        first = self.first_rows.setdefault(fold_case(row.external_id), row.row_number)
        if first != row.row_number:
            message = _("%(account)s is already in row %(row)s.", account=row.external_id, row=first)
            yield RowError(row.row_number, KEY_COLUMN, message)

    def _add_errors(self, errors: Sequence[RowError]) -> None:
        self.counts["errors"] += 1
        self.errors += errors
        if len(self.errors) >= MAX_ROW_ERRORS:
            raise ImportRejected(self.errors, errors[-1].row)

    def _add_outcome(self, outcome: RowOutcome) -> None:
        row, known = outcome.row, outcome.known
        self.counts[outcome.kind] += 1
        if known is None and len(self.created) < _NEW_SHOWN:
            self.created.append(
                {"row": row.row_number, "account": row.external_id, "name": row.name, "email": row.email}
            )
        if known is not None and row.opted_in_at_ms is not None:
            self.ignored_opt_ins += 1
        elif row.opted_in_at_ms is not None:
            self._add_opt_in(row, row.opted_in_at_ms)
        for change in outcome.changes[: max(0, _CHANGES_SHOWN - len(self.changes))]:
            self.changes.append({"row": row.row_number, "account": row.external_id, **asdict(change)})

    def _add_opt_in(self, row: AccountRow, at_ms: int) -> None:
        """Of several opt-ins of a number, the newest decides who gets its texts; of equal ones, the first."""
        phone = int(row.phone[1:])
        best_ms, best_row = divmod(self.newest_opt_ins.get(phone, 0), _ROWS)
        if at_ms > best_ms:
            self.newest_opt_ins[phone] = at_ms * _ROWS + row.row_number
            self.older_opt_ins += [best_row] if best_row else []
        else:
            self.older_opt_ins.append(row.row_number)

    def _place(self, error: RowError) -> tuple[int, int]:
        names = self.file.names
        return error.row, names.index(error.column) if error.column in names else len(names)

    def preview(self) -> dict[str, Any]:
        warnings = list(self.warnings)
        if self.ignored_opt_ins:
            message = ngettext(
                "%(num)s opt-in is of an account that exists, and not imported here: use Import opt-ins.",
                "%(num)s opt-ins are of accounts that exist, and not imported here: use Import opt-ins.",
                self.ignored_opt_ins,
            )
            warnings.append(message)
        errors = [
            {"row": error.row, "column": self.file.label(error.column), "message": error.message}
            for error in sorted(self.errors, key=self._place)[:_ERRORS_SHOWN]
        ]
        return {
            **self.counts,
            "changes": self.changes,
            "created": self.created,
            "row_errors": errors,
            "more_errors": len(self.errors) - len(errors),
            "older_opt_ins": self.older_opt_ins,
            "warnings": warnings,
            "previewed_rows": bytes(self.previewed_rows),
        }


def check_text(text: str, actor: Actor, task_id: int, now_ms: int) -> dict[str, Any]:
    """What the import would do, as `admin/accounts/_import_progress.html` shows it. Raises `ActionRefused`."""
    file, total = open_accounts(text, all_attributes(), now_ms), text.count("\n")
    check = AccountCheck(file, import_rules(task_id, actor, file.keys))
    for chunk in chunks(file.rows):
        check.add(chunk)
        db.session.rollback()
        report_rows(chunk[-1][0].row_number, total)
    if not any(check.counts.values()):
        raise ActionRefused(_("The file has a header but no rows. Nothing was imported."))
    return check.preview()

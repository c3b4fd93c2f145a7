"""Import accounts from a file in the browser: what is new is created, what is known is changed.

A worker checks the file and keeps what it found for each row. When somebody confirms it, the rows are written in parts,
each with its progress in one transaction; a row about an account that has changed since the check is left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from portal.accounts.account_editing import FIELD_NAMES
from portal.accounts.rules.account_csv import complete_row
from portal.accounts.tables.accounts import Account
from portal.accounts.tables.attributes import AttributeValue, all_attributes
from portal.accounts.tables.phone_numbers import PhoneNumber
from portal.consent import background_imports, recording
from portal.consent.account_import import insert_accounts, recipient_rows
from portal.consent.background_imports import ImportSteps
from portal.consent.rules.consent_state import EventKind
from portal.consent.tables import ledger
from portal.consent.tables.import_tasks import ImportTask, ImportTaskKind
from portal.core.actor import Actor
from portal.core.audit_log import record_audit_entries, record_audit_entry
from portal.core.context import settings
from portal.core.extensions import db
from portal.core.rules.phone import mask_phone
from portal.core.statements import refresh_statistics
from portal.core.transaction import transaction
from portal.core.translation import ngettext
from portal.people.account_file_check import check_text
from portal.people.account_rows import ReadRow, chunks, import_rules, open_accounts, report_rows, row_outcomes
from portal.people.rules.account_changes import PHONE, FieldChange, ImportRules, PreviewedRows, RowOutcome, row_problems
from portal.people.tables.known_accounts import write_changes

KIND = ImportTaskKind.ACCOUNTS
_STALE_SHOWN = 20


@dataclass
class ImportProgress:
    """What has been done: rows up to `through`. `stale` are the first account numbers of those that were left out."""

    through: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    left_out: int = 0
    stale: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, stored: dict[str, Any]) -> Self:
        return cls(**stored)

    def count(self, outcomes: Sequence[RowOutcome], stale: Sequence[str]) -> None:
        for outcome in outcomes:
            setattr(self, outcome.kind, getattr(self, outcome.kind) + 1)
        self.left_out += len(stale)
        self.stale += stale[: max(0, _STALE_SHOWN - len(self.stale))]

    @property
    def summary(self) -> str:
        """What the import did, for people."""
        sentences = [
            ngettext("%(num)s account was created.", "%(num)s accounts were created.", self.new),
            ngettext("%(num)s account was changed.", "%(num)s accounts were changed.", self.changed),
            ngettext("%(num)s account was so already.", "%(num)s accounts were so already.", self.unchanged),
        ]
        if self.left_out:
            message = ngettext(
                "%(num)s account was left out, because it changed after the preview: %(accounts)s.",
                "%(num)s accounts were left out, because they changed after the preview: %(accounts)s.",
                self.left_out,
                accounts=", ".join(self.stale) + ("…" if self.left_out > len(self.stale) else ""),
            )
            sentences.append(message)
        return " ".join(sentences)


def import_text(
    text: str, actor: Actor, now_ms: int, before_commit: Callable[[ImportProgress], None], task_id: int
) -> ImportProgress:
    """Goes on where an earlier attempt ended. `before_commit` belongs to the last transaction."""
    declared = all_attributes()
    attribute_ids = {attribute.key: attribute.id for attribute in declared}
    file, total = open_accounts(text, declared, now_ms), text.count("\n")
    rules, task = import_rules(task_id, actor, file.keys), db.session.get_one(ImportTask, task_id)
    previewed_rows, progress = PreviewedRows(task.previewed_rows or b""), ImportProgress.of(task.progress or {})
    older_opt_ins = frozenset((task.preview or {}).get("older_opt_ins", ()))
    remaining = (row for row in file.rows if row[0].row_number > progress.through)
    rows = (row for row in remaining if previewed_rows.digest_of(row[0].row_number))
    for chunk in chunks(rows):
        with transaction():
            _import_chunk(chunk, previewed_rows, rules, progress, attribute_ids, older_opt_ins, actor, now_ms, task_id)
            background_imports.record_progress(task_id, asdict(progress))
        report_rows(progress.through, total)
    with transaction():
        detail = {"created": progress.new, "changed_accounts": progress.changed, "unchanged": progress.unchanged}
        record_audit_entry("accounts_imported", "a file", actor.account_id, now_ms, **detail, task_id=task_id)
        refresh_statistics(Account, PhoneNumber, AttributeValue)
        before_commit(progress)
    return progress


def _import_chunk(
    chunk: Sequence[ReadRow],
    previewed_rows: PreviewedRows,
    rules: ImportRules,
    progress: ImportProgress,
    attribute_ids: dict[str, int],
    older_opt_ins: frozenset[int],
    actor: Actor,
    now_ms: int,
    task_id: int,
) -> None:
    """Each row does what the preview said of it, or nothing."""
    if any(row.phone for _cells, row in chunk):
        ledger.lock_ledger()
    outcomes = row_outcomes([row for cells, row in chunk if not cells.errors], rules, with_lock=True)
    kept = [outcome for outcome in outcomes if _is_as_previewed(outcome, previewed_rows, rules)]
    kept_rows = {outcome.row.row_number for outcome in kept}
    new = [complete_row(outcome.row, settings().time_zone) for outcome in kept if outcome.known is None]
    if new:
        recipients = recipient_rows([row for row in new if row.row_number not in older_opt_ins])
        insert_accounts(new, recipients, attribute_ids, now_ms, actor, task_id)
    added = write_changes(kept, attribute_ids, now_ms)
    record_audit_entries("account_changed", _audit_details(kept, task_id), actor.account_id, now_ms)
    recording.recompute(_numbers_with_events(added), now_ms)
    progress.count(kept, [row.external_id for _cells, row in chunk if row.row_number not in kept_rows])
    progress.through = chunk[-1][0].row_number


def _audit_details(outcomes: Sequence[RowOutcome], task_id: int) -> dict[str, dict[str, Any]]:
    """By the account, everything that changes about it."""
    return {
        f"account {outcome.known.external_id}": {
            "account_id": outcome.known.id,
            "task_id": task_id,
            "changes": "; ".join(map(_describe_change, outcome.changes)),
        }
        for outcome in outcomes
        if outcome.known and outcome.changes
    }


def _describe_change(change: FieldChange) -> str:
    if change.field == PHONE:
        return f"phone number: {mask_phone(change.after)}"
    return f"{FIELD_NAMES.get(change.field, change.field)}: {change.before or '–'} → {change.after or '–'}"


def _is_as_previewed(outcome: RowOutcome, previewed_rows: PreviewedRows, rules: ImportRules) -> bool:
    is_same = previewed_rows.digest_of(outcome.row.row_number) == outcome.digest
    return is_same and next(row_problems(outcome.row, outcome.known, rules), None) is None


def _numbers_with_events(numbers: Sequence[str]) -> list[str]:
    """A number that is new to the ledger has no state to compute."""
    events = ledger.events_by_number(numbers) if numbers else {}
    return [number for number, found in events.items() if any(event.kind != EventKind.ADDED for event in found)]


background_imports.IMPORTS[KIND] = ImportSteps(import_text, check_text)

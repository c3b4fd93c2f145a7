"""Import opt-ins given elsewhere, with their evidence, after a preview: all of them or none.

An imported opt-in never clears a STOP and never takes texts from another account; it is then kept as evidence only
(docs/consent-rules.md#paper).
"""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import insert

from portal.accounts.account_management import erased_message
from portal.accounts.account_permissions import role_of
from portal.accounts.rules.access_rules import acting_problem
from portal.accounts.tables.accounts import AccountRef, emails_of, find_by_external_ids
from portal.accounts.tables.phone_numbers import PhoneNumber
from portal.consent import recording
from portal.consent.account_phones import MAX_NUMBERS_PER_ACCOUNT
from portal.consent.number_reassignment import ExternalOptIn, possibly_reassigned
from portal.consent.opt_out_import import check_rows
from portal.consent.rules import consent_csv
from portal.consent.rules.consent_csv import OptInRow
from portal.consent.rules.consent_state import EventKind, LedgerEvent, derive_state, state_after
from portal.consent.tables import ledger, ledger_search
from portal.core.actor import Actor
from portal.core.audit_log import record_audit_entry
from portal.core.context import settings
from portal.core.rules.csv_input import CsvResult, RowError
from portal.core.transaction import transaction
from portal.core.translation import N_, ngettext
from portal.core.translation import gettext as _

NUMBER_OPTED_OUT = N_("The number is opted out, and only START from that phone turns texts on again.")
USED_BY_OTHER_ACCOUNT = N_("Another account gets this number’s texts.")
SUPERSEDED_BY_ROW = N_("A newer row of the file gives this number’s texts to another account.")
POSSIBLY_REASSIGNED = N_("Another account got this number after the opt-in was given.")
SUPERSEDED_BY_EVENT = N_("A later event at this number overrides it.")


@dataclass(frozen=True)
class OptInImportPlan:
    """`applied` get texts; `evidence_only` get none, each with the reason; `new_numbers` are added to accounts first.

    `already_recorded` counts rows that are in the ledger word for word.
    """

    applied: list[OptInRow] = field(default_factory=list)
    evidence_only: list[tuple[OptInRow, str]] = field(default_factory=list)
    new_numbers: list[OptInRow] = field(default_factory=list)
    already_recorded: int = 0
    warnings: Sequence[RowError] = ()

    @property
    def summary(self) -> str:
        """What the import did, for people."""
        applied, kept, added = len(self.applied), len(self.evidence_only), len(self.new_numbers)
        recorded = self.already_recorded
        sentences = [
            ngettext("%(num)s opt-in is in force.", "%(num)s opt-ins are in force.", applied),
            ngettext("%(num)s is kept as evidence only.", "%(num)s are kept as evidence only.", kept) if kept else "",
            ngettext("%(num)s number was added to an account.", "%(num)s numbers were added to accounts.", added)
            if added
            else "",
            ngettext(
                "%(num)s opt-in was already in the ledger.", "%(num)s opt-ins were already in the ledger.", recorded
            )
            if recorded
            else "",
        ]
        return " ".join(filter(None, sentences))


@dataclass(frozen=True)
class _StoredData:
    """What the database holds about the accounts and numbers in a file."""

    account_ids: Mapping[str, int]
    emails: Mapping[int, str]
    numbers: Mapping[str, set[str]]
    recorded: set[tuple[int | None, str, int, str]]
    events_by_number: Mapping[str, list[LedgerEvent]]


def plan_opt_ins(text: str, actor: Actor, now_ms: int) -> OptInImportPlan:
    """Preview an import. Raises `ImportRejected` for errors in rows, `ActionRefused` for the file as a whole."""
    result = _read(text, now_ms)
    return _plan(result, _load_and_validate(result, actor))


def import_opt_ins(
    text: str,
    actor: Actor,
    now_ms: int,
    before_commit: Callable[[OptInImportPlan], None] = lambda _plan: None,
    task_id: int | None = None,
) -> OptInImportPlan:
    """Record the opt-ins and return what was done; no texts are sent. Raises as `plan_opt_ins` does.

    `before_commit` belongs to the same transaction.
    """
    result = _read(text, now_ms)
    with transaction() as session:
        ledger.lock_ledger()
        stored = _load_and_validate(result, actor)
        plan = _plan(result, stored)
        if plan.new_numbers:
            session.execute(insert(PhoneNumber), [_phone_row(row, stored, now_ms) for row in plan.new_numbers])
        kinds = {row: EventKind.OPT_IN for row in plan.applied}
        kinds |= {row: EventKind.EVIDENCE for row, _reason in plan.evidence_only}
        in_file_order = sorted(kinds, key=lambda row: row.row)
        ledger.append(*(_event(row, kinds[row], stored, actor, now_ms) for row in in_file_order))
        recording.recompute([row.number for row in plan.applied], now_ms)
        detail = {"in_force": len(plan.applied), "evidence_only": len(plan.evidence_only)}
        record_audit_entry("opt_ins_imported", "a file", actor.account_id, now_ms, **detail, task_id=task_id)
        before_commit(plan)
    return plan


def _read(text: str, now_ms: int) -> CsvResult[OptInRow]:
    result = consent_csv.read_opt_ins(text, settings().region, now_ms)
    accounts = find_by_external_ids([row.external_id for row in result.rows])
    rows = [
        replace(row, external_id=accounts[row.external_id].external_id) if row.external_id in accounts else row
        for row in result.rows
    ]
    return replace(result, rows=rows)


def _load_and_validate(result: CsvResult[OptInRow], actor: Actor) -> _StoredData:
    rows, actor_role = result.rows, role_of(actor.account_id)
    external_ids, numbers = [row.external_id for row in rows], [row.number for row in rows]
    accounts = find_by_external_ids(external_ids)
    account_ids = {external_id: account.id for external_id, account in accounts.items()}
    stored = _StoredData(
        account_ids,
        emails_of(account_ids.values()),
        ledger_search.numbers_by_external_id(external_ids),
        ledger_search.recorded_opt_ins(numbers),
        ledger.events_by_number(numbers),
    )
    refused = [
        RowError(row.row, "external_id", problem)
        for row in rows
        if (account := accounts.get(row.external_id)) and (problem := _account_problem(account, actor_role))
    ]
    unknown = [
        RowError(
            row.row,
            "external_id",
            _("There is no account with the number %(external_id)s.", external_id=row.external_id),
        )
        for row in rows
        if row.external_id not in stored.account_ids
    ]
    check_rows(result, [*refused, *unknown, *_number_limit_errors(rows, stored)])
    return stored


def _account_problem(account: AccountRef, actor_role: str) -> str:
    return erased_message(account.external_id) if account.is_erased else acting_problem(actor_role, account.role)


def _number_limit_errors(rows: Sequence[OptInRow], stored: _StoredData) -> list[RowError]:
    errors = []
    numbers_by_account = {external_id: set(numbers) for external_id, numbers in stored.numbers.items()}
    for row in rows:
        numbers = numbers_by_account.setdefault(row.external_id, set())
        numbers.add(row.number)
        if len(numbers) > MAX_NUMBERS_PER_ACCOUNT:
            message = _(
                "%(external_id)s would have more than %(limit)s numbers. Remove one first.",
                external_id=row.external_id,
                limit=MAX_NUMBERS_PER_ACCOUNT,
            )
            errors.append(RowError(row.row, "phone", message))
    return errors


def _plan(result: CsvResult[OptInRow], stored: _StoredData) -> OptInImportPlan:
    rows = result.rows
    newest = {row.number: row for row in sorted(rows, key=lambda row: (row.at_ms, row.row))}
    new = [row for row in rows if not _is_recorded(row, stored)]
    reassigned = possibly_reassigned([_external_opt_in(row, stored) for row in new], stored.events_by_number)
    reasons = {
        row.row: _evidence_only_reason(row, stored, reassigned)
        or (SUPERSEDED_BY_ROW if newest[row.number] is not row else "")
        for row in new
    }
    return OptInImportPlan(
        applied=[row for row in new if not reasons[row.row]],
        evidence_only=[(row, _(reasons[row.row])) for row in new if reasons[row.row]],
        new_numbers=[row for row in new if row.number not in stored.numbers.get(row.external_id, set())],
        already_recorded=len(rows) - len(new),
        warnings=result.warnings,
    )


def _is_recorded(row: OptInRow, stored: _StoredData) -> bool:
    return (stored.account_ids[row.external_id], row.number, row.at_ms, row.evidence) in stored.recorded


def _external_opt_in(row: OptInRow, stored: _StoredData) -> ExternalOptIn:
    account_id = stored.account_ids[row.external_id]
    return ExternalOptIn(row.number, account_id, stored.emails[account_id], row.at_ms)


def _evidence_only_reason(row: OptInRow, stored: _StoredData, reassigned: Set[ExternalOptIn]) -> str:
    """Return why the opt-in gets no texts, or "" if it does."""
    account_id, events = stored.account_ids[row.external_id], stored.events_by_number.get(row.number, [])
    state = derive_state(events)
    if state.stopped_at_ms is not None:
        return NUMBER_OPTED_OUT
    if state.recipient_id not in (None, account_id):
        return USED_BY_OTHER_ACCOUNT
    if _external_opt_in(row, stored) in reassigned:
        return POSSIBLY_REASSIGNED
    after = state_after(events, EventKind.OPT_IN, row.at_ms, account_id)
    return "" if after.recipient_id == account_id and after.receives_texts else SUPERSEDED_BY_EVENT


def _phone_row(row: OptInRow, stored: _StoredData, now_ms: int) -> dict[str, Any]:
    account_id = stored.account_ids[row.external_id]
    return {"account_id": account_id, "number": row.number, "label": "", "receives_sms": False, "created_at_ms": now_ms}


def _event(row: OptInRow, kind: EventKind, stored: _StoredData, actor: Actor, now_ms: int) -> dict[str, Any]:
    account_id = stored.account_ids[row.external_id]
    columns = {"text": row.evidence, "occurred_at_ms": row.at_ms, "account_id": account_id, **actor.ledger_columns}
    return recording.imported_event(row.row, row.day, now_ms, number=row.number, kind=kind, **columns)

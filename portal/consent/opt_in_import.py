"""Opt-ins that were given elsewhere, brought in with their evidence: whole or not at all.

Paper never lifts a STOP and never takes texts from another account; what it cannot do is kept as evidence.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import insert

from portal.accounts.tables.accounts import emails_of, find_by_external_ids
from portal.accounts.tables.phone_numbers import PhoneNumber
from portal.consent import recording
from portal.consent.account_phones import MAX_NUMBERS_PER_ACCOUNT
from portal.consent.number_reassignment import ExternalOptIn, possibly_reassigned
from portal.consent.opt_out_import import raise_row_errors, read_rows, state_after
from portal.consent.rules import consent_csv
from portal.consent.rules.consent_csv import OptInRow
from portal.consent.rules.consent_state import EventKind, LedgerEvent, derive_state
from portal.consent.tables import ledger, ledger_search
from portal.core.actor import Actor
from portal.core.context import settings
from portal.core.rules.csv_input import CsvResult, RowError
from portal.core.transaction import transaction

NUMBER_OPTED_OUT = "The number is opted out, and only START from that phone turns texts on again."
USED_BY_OTHER_ACCOUNT = "Another account gets this number’s texts."
SUPERSEDED_BY_ROW = "A newer row of the file gives this number’s texts to another account."
POSSIBLY_REASSIGNED = "Another account got this number after the opt-in was given."
SUPERSEDED_BY_EVENT = "Something that happened at the number since then stands against it."


@dataclass(frozen=True)
class OptInImportPlan:
    """`given` get texts; `kept` are kept as evidence only, each with why; `new_numbers` go on their accounts first.

    `already` counts rows that are in the ledger, word for word.
    """

    applied: list[OptInRow] = field(default_factory=list)
    evidence_only: list[tuple[OptInRow, str]] = field(default_factory=list)
    new_numbers: list[OptInRow] = field(default_factory=list)
    already_recorded: int = 0
    warnings: Sequence[RowError] = ()

    @property
    def summary(self) -> str:
        """What was done, in words."""
        given, kept, new = len(self.applied), len(self.evidence_only), len(self.new_numbers)
        said = [
            f"{given:,} {'opt-in is' if given == 1 else 'opt-ins are'} in force.",
            f"{kept:,} {'is' if kept == 1 else 'are'} kept as evidence only." if kept else "",
            f"{new:,} {'number was' if new == 1 else 'numbers were'} added to an account." if new else "",
            f"{self.already_recorded:,} {'was' if self.already_recorded == 1 else 'were'} in the ledger already_recorded."
            if self.already_recorded
            else "",
        ]
        return " ".join(filter(None, said))


@dataclass(frozen=True)
class _StoredData:
    """What the database knows of the accounts and numbers in a file."""

    account_ids: Mapping[str, int]
    emails: Mapping[int, str]
    numbers: Mapping[str, set[str]]
    written: set[tuple[int | None, str, int, str]]
    stories: Mapping[str, list[LedgerEvent]]


def plan_opt_ins(text: str, now_ms: int) -> OptInImportPlan:
    """What an import would do. Raises `ImportRejected` (rows) or `Refused` (the file as a whole)."""
    found = _read(text, now_ms)
    return _plan(found, _load_and_validate(found))


def import_opt_ins(text: str, asker: Actor, now_ms: int) -> OptInImportPlan:
    """What was done; nothing is texted. Raises as `plan_opt_ins` does, and then nothing was done."""
    found = _read(text, now_ms)
    with transaction() as session:
        ledger.lock_ledger()
        known = _load_and_validate(found)
        plan = _plan(found, known)
        if plan.new_numbers:
            session.execute(insert(PhoneNumber), [_phone_row(row, known, now_ms) for row in plan.new_numbers])
        kinds = [(row, EventKind.OPT_IN) for row in plan.applied] + [
            (row, EventKind.EVIDENCE) for row, _why in plan.evidence_only
        ]
        written = sorted(kinds, key=lambda pair: pair[0].row)
        ledger.append(*(_event(row, kind, known, asker, now_ms) for row, kind in written))
        recording.recompute_many([row.number for row in plan.applied], now_ms)
    return plan


def _read(text: str, now_ms: int) -> CsvResult[OptInRow]:
    found = read_rows(lambda: consent_csv.read_opt_ins(text, settings().region, now_ms))
    stored = find_by_external_ids([row.external_id for row in found.rows])
    rows = [
        replace(row, external_id=stored[row.external_id].external_id) if row.external_id in stored else row
        for row in found.rows
    ]
    return replace(found, rows=rows)


def _load_and_validate(found: CsvResult[OptInRow]) -> _StoredData:
    rows = found.rows
    known = _load_stored_data(rows)
    unknown = [
        RowError(row.row, "external_id", f"There is no account with the number {row.external_id}.")
        for row in rows
        if row.external_id not in known.account_ids
    ]
    raise_row_errors([*found.errors, *unknown, *_number_limit_errors(rows, known)], found.stopped_at_row)
    return known


def _load_stored_data(rows: Sequence[OptInRow]) -> _StoredData:
    external_ids, numbers = [row.external_id for row in rows], [row.number for row in rows]
    account_ids = {external_id: account.id for external_id, account in find_by_external_ids(external_ids).items()}
    return _StoredData(
        account_ids,
        emails_of(account_ids.values()),
        ledger_search.numbers_by_external_id(external_ids),
        ledger_search.recorded_opt_ins(numbers),
        ledger.events_by_number(numbers),
    )


def _number_limit_errors(rows: Sequence[OptInRow], known: _StoredData) -> list[RowError]:
    mistakes = []
    numbers = {external_id: set(own) for external_id, own in known.numbers.items()}
    for row in rows:
        own = numbers.setdefault(row.external_id, set())
        own.add(row.number)
        if len(own) > MAX_NUMBERS_PER_ACCOUNT:
            words = f"{row.external_id} would hold more than {MAX_NUMBERS_PER_ACCOUNT} numbers. Remove one first."
            mistakes.append(RowError(row.row, "phone", words))
    return mistakes


def _plan(found: CsvResult[OptInRow], known: _StoredData) -> OptInImportPlan:
    rows = found.rows
    newest = {row.number: row for row in sorted(rows, key=lambda row: (row.at_ms, row.row))}
    new = [row for row in rows if not _is_recorded(row, known)]
    doubtful = possibly_reassigned([_external_opt_in(row, known) for row in new], known.stories)
    why = {
        row.row: _evidence_only_reason(row, known, doubtful)
        or (SUPERSEDED_BY_ROW if newest[row.number] is not row else "")
        for row in new
    }
    return OptInImportPlan(
        applied=[row for row in new if not why[row.row]],
        evidence_only=[(row, why[row.row]) for row in new if why[row.row]],
        new_numbers=[row for row in new if row.number not in known.numbers.get(row.external_id, set())],
        already_recorded=len(rows) - len(new),
        warnings=found.warnings,
    )


def _is_recorded(row: OptInRow, known: _StoredData) -> bool:
    return (known.account_ids[row.external_id], row.number, row.at_ms, row.evidence) in known.written


def _external_opt_in(row: OptInRow, known: _StoredData) -> ExternalOptIn:
    account_id = known.account_ids[row.external_id]
    return ExternalOptIn(row.number, account_id, known.emails[account_id], row.at_ms)


def _evidence_only_reason(row: OptInRow, known: _StoredData, doubtful: Set[ExternalOptIn]) -> str:
    """Why an opt-in on paper brings no texts; empty when it does."""
    account_id, story = known.account_ids[row.external_id], known.stories.get(row.number, [])
    now = derive_state(story)
    if now.stopped_at_ms is not None:
        return NUMBER_OPTED_OUT
    if now.recipient_id not in (None, account_id):
        return USED_BY_OTHER_ACCOUNT
    if _external_opt_in(row, known) in doubtful:
        return POSSIBLY_REASSIGNED
    then = state_after(story, EventKind.OPT_IN, row.at_ms, account_id)
    return "" if then.recipient_id == account_id and then.receives_texts else SUPERSEDED_BY_EVENT


def _phone_row(row: OptInRow, known: _StoredData, now_ms: int) -> dict[str, Any]:
    account_id = known.account_ids[row.external_id]
    return {"account_id": account_id, "number": row.number, "label": "", "receives_sms": False, "created_at_ms": now_ms}


def _event(row: OptInRow, kind: EventKind, known: _StoredData, asker: Actor, now_ms: int) -> dict[str, Any]:
    return {
        "number": row.number,
        "account_id": known.account_ids[row.external_id],
        "kind": kind,
        "source": "import",
        **asker.ledger_columns,
        "text": row.evidence,
        "detail": {"row": row.row} | ({"day": row.day} if row.day else {}),
        "occurred_at_ms": row.at_ms,
        "recorded_at_ms": now_ms,
    }

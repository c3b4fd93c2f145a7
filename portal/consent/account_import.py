"""Accounts imported from a CSV file, with consent given on paper: the whole file or nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select

from portal.accounts import smtputf8_check
from portal.accounts.account_management import account_values, external_id_taken_message
from portal.accounts.rules import account_csv
from portal.accounts.rules.account_csv import AccountRow
from portal.accounts.tables.accounts import Account, find_by_external_ids
from portal.accounts.tables.phone_numbers import PhoneNumber, PhoneState
from portal.consent.number_reassignment import ExternalOptIn, possibly_reassigned
from portal.consent.rules.consent_state import EventKind, LedgerEvent, derive_state
from portal.consent.tables import ledger
from portal.core.context import settings
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.rules.csv_input import CsvError, RowError
from portal.core.rules.email_address import needs_smtputf8
from portal.core.transaction import transaction

_CHUNK = 1_000


_PENDING_EVENT_ID = 2**62


ProgressCallback = Callable[[str, int, int], None]
"""Called with what is being done, how far it is, and how far it goes."""


class ImportRejected(ActionRefused):
    """Nothing was imported; every mistake is listed, up to the row behind which there were enough of them."""

    def __init__(self, mistakes: Sequence[RowError], stopped_at: int | None = None) -> None:
        plural = "mistake" if len(mistakes) == 1 else "mistakes"
        upto = f" up to row {stopped_at:,}. What comes after it was not read" if stopped_at else ""
        super().__init__(f"Nothing was imported: {len(mistakes):,} {plural} found{upto}.")
        self.row_errors = sorted(mistakes, key=lambda mistake: mistake.row)


@dataclass(frozen=True)
class ImportResult:
    """How many accounts were made, and what deserves a look although it was let through."""

    count: int
    warnings: list[str]


def import_accounts(
    raw: bytes, now_ms: int, progress: ProgressCallback = lambda _what, _done, _total: None
) -> ImportResult:
    """What was done. Raises `ImportRejected` (rows and columns) or `Refused` (the file as a whole)."""
    try:
        file = account_csv.decode_account_csv(raw)
        total = file.text.count("\n")
        found = account_csv.read_account_csv(
            file.text, settings().region, now_ms, lambda row: progress("Checking", min(row, total), total)
        )
    except CsvError as error:
        raise ActionRefused(str(error)) from error
    mistakes = [*found.errors, *_existing_account_errors(found.rows), *_undeliverable_email_errors(found.rows)]
    if mistakes:
        raise ImportRejected(mistakes, found.stopped_at_row)
    if not found.rows:
        raise ActionRefused("The file has a header and no rows. Nothing was imported.")
    _insert_rows(found.rows, now_ms, progress)
    return ImportResult(len(found.rows), [*file.warnings, *map(str, found.warnings)])


def _existing_account_errors(rows: Sequence[AccountRow]) -> list[RowError]:
    known = find_by_external_ids([row.external_id for row in rows])
    return [
        RowError(
            row.row_number,
            "external_id",
            external_id_taken_message(row.external_id, known[row.external_id].external_id),
        )
        for row in rows
        if row.external_id in known
    ]


def _undeliverable_email_errors(rows: Sequence[AccountRow]) -> list[RowError]:
    smtputf8_problem = smtputf8_check.smtputf8_problem(row.email for row in rows)
    wrong = [row.row_number for row in rows if needs_smtputf8(row.email)] if smtputf8_problem else []
    return [RowError(row, "email", smtputf8_problem or "") for row in wrong]


def _insert_rows(rows: Sequence[AccountRow], now_ms: int, progress: ProgressCallback) -> None:
    """All rows in one transaction: a mistake anywhere leaves nothing half-imported."""
    with transaction():
        ledger.lock_ledger()
        holders = _sms_holders(rows)
        for start in range(0, len(rows), _CHUNK):
            part = rows[start : start + _CHUNK]
            _insert_part(part, holders, now_ms)
            progress("Importing", start + len(part), len(rows))


def _insert_part(rows: Sequence[AccountRow], holders: dict[str, int], now_ms: int) -> None:
    db.session.execute(insert(Account), [_account_values(row, now_ms) for row in rows])
    ids = _ids_by_external_id([row.external_id for row in rows])
    phones = [_phone_values(row, ids[row.external_id], holders, now_ms) for row in rows if row.phone]
    if phones:
        db.session.execute(insert(PhoneNumber), phones)
    opted_in = [row for row in rows if row.opted_in_at_ms is not None]
    ledger.append(*(_event_values(row, ids[row.external_id], holders, now_ms) for row in opted_in))


def _sms_holders(rows: Sequence[AccountRow]) -> dict[str, int]:
    """Number to the row that holds its texts: the newest opt-in; never against a holder or a STOP we know of."""
    newest: dict[str, AccountRow] = {}
    for row in rows:
        if row.opted_in_at_ms is None:
            continue
        other = newest.get(row.phone)
        if other is None or (other.opted_in_at_ms or 0) < row.opted_in_at_ms:
            newest[row.phone] = row
    taken = set(db.session.scalars(select(PhoneNumber.number).where(PhoneNumber.receives_sms == True)))  # noqa: E712
    taken |= set(db.session.scalars(select(PhoneState.number).where(PhoneState.stopped_at_ms.is_not(None))))
    taken |= _superseded_numbers(newest)
    return {number: row.row_number for number, row in newest.items() if number not in taken}


def _superseded_numbers(newest: dict[str, AccountRow]) -> set[str]:
    """Numbers at which something that happened since stands against the paper: the ledger would give no texts by it,
    or another account got the number."""
    events_by_number = ledger.events_by_number(list(newest))
    papers = [ExternalOptIn(number, None, row.email, row.opted_in_at_ms or 0) for number, row in newest.items()]
    found = {paper.number for paper in possibly_reassigned(papers, events_by_number)}
    for number, story in events_by_number.items():
        opt_in = LedgerEvent(_PENDING_EVENT_ID, EventKind.OPT_IN, newest[number].opted_in_at_ms or 0, _PENDING_EVENT_ID)
        if derive_state([*story, opt_in]).recipient_id != _PENDING_EVENT_ID:
            found.add(number)
    return found


def _ids_by_external_id(external_ids: Sequence[str]) -> dict[str, int]:
    query = select(Account.external_id, Account.id).where(Account.external_id.in_(external_ids))
    return {external_id: account_id for external_id, account_id in db.session.execute(query)}


def _account_values(row: AccountRow, now_ms: int) -> dict[str, Any]:
    return account_values(row.external_id, row.name, row.email, row.account_type, row.role, row.timezone, now_ms)


def _phone_values(row: AccountRow, account_id: int, holders: dict[str, int], now_ms: int) -> dict[str, Any]:
    holds = holders.get(row.phone) == row.row_number
    return {
        "account_id": account_id,
        "number": row.phone,
        "label": "",
        "receives_sms": holds,
        "receives_sms_since_ms": row.opted_in_at_ms if holds else None,
        "created_at_ms": now_ms,
    }


def _event_values(row: AccountRow, account_id: int, holders: dict[str, int], now_ms: int) -> dict[str, Any]:
    """Consent given on paper is kept as evidence even where it does not bring the texts here."""
    return {
        "number": row.phone,
        "account_id": account_id,
        "kind": EventKind.OPT_IN if holders.get(row.phone) == row.row_number else EventKind.EVIDENCE,
        "source": "import",
        "text": row.consent_source,
        "detail": {"row_number": row.row_number} | ({"day": row.opted_in_day} if row.opted_in_day else {}),
        "occurred_at_ms": row.opted_in_at_ms,
        "recorded_at_ms": now_ms,
    }

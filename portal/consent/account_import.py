"""Import accounts from a CSV file, with opt-ins given on paper: the whole file or nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select

from portal.accounts import smtputf8_check
from portal.accounts.account_management import account_values, erased_message, external_id_taken_message
from portal.accounts.rules import account_csv
from portal.accounts.rules.account_csv import AccountRow
from portal.accounts.tables import attributes
from portal.accounts.tables.accounts import Account, AccountRef, find_by_external_ids, insert_account_rows
from portal.accounts.tables.attributes import AttributeValue
from portal.accounts.tables.phone_numbers import PhoneNumber, PhoneState, recipients_by_number
from portal.consent import recording
from portal.consent.number_reassignment import ExternalOptIn, possibly_reassigned
from portal.consent.rules.consent_state import HYPOTHETICAL_ID, EventKind, state_after
from portal.consent.tables import ledger
from portal.core.actor import SHELL_ACTOR, Actor
from portal.core.audit_log import record_audit_entries, record_audit_entry
from portal.core.context import settings
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.rules.csv_input import RowError
from portal.core.rules.email_address import needs_smtputf8
from portal.core.statements import in_list, refresh_statistics
from portal.core.transaction import transaction
from portal.core.translation import gettext as _
from portal.core.translation import ngettext

_CHUNK_SIZE = 1_000

ProgressCallback = Callable[[str, int, int], None]
"""Called with the step, the rows done and the rows in total."""


class ImportRejected(ActionRefused):
    """Nothing was imported. `row_errors` lists the errors up to the row `stopped_at`, after which reading stopped."""

    def __init__(self, errors: Sequence[RowError], stopped_at: int | None = None) -> None:
        message = ngettext(
            "Nothing was imported: %(num)s mistake found.", "Nothing was imported: %(num)s mistakes found.", len(errors)
        )
        if stopped_at:
            message = ngettext(
                "Nothing was imported: %(num)s mistake found up to row %(row)s. Later rows were not read.",
                "Nothing was imported: %(num)s mistakes found up to row %(row)s. Later rows were not read.",
                len(errors),
                row=stopped_at,
            )
        super().__init__(message)
        self.row_errors = sorted(errors, key=lambda error: error.row)


@dataclass(frozen=True)
class ImportResult:
    """How many accounts the import created, and warnings about what to check."""

    count: int
    warnings: list[str]


def import_accounts(
    raw: bytes, now_ms: int, progress: ProgressCallback = lambda _what, _done, _total: None
) -> ImportResult:
    """Raises `ImportRejected` for errors in rows, `ActionRefused` for the file as a whole."""
    file, declared = account_csv.decode_account_csv(raw), attributes.all_attributes()
    total = file.text.count("\n")
    result = account_csv.read_account_csv(
        file.text,
        settings().region,
        now_ms,
        lambda row: progress("Checking", min(row, total), total),
        [attribute.definition for attribute in declared],
        settings().time_zone,
    )
    rows = result.rows
    if errors := [*result.errors, *_existing_account_errors(rows), *_undeliverable_email_errors(rows)]:
        raise ImportRejected(errors, result.stopped_at_row)
    if not rows:
        raise ActionRefused(_("The file has a header but no rows. Nothing was imported."))
    attribute_ids = {attribute.key: attribute.id for attribute in declared}
    with transaction():
        ledger.lock_ledger()
        recipients = recipient_rows(rows)
        for start in range(0, len(rows), _CHUNK_SIZE):
            chunk = rows[start : start + _CHUNK_SIZE]
            insert_accounts(chunk, recipients, attribute_ids, now_ms)
            progress("Importing", start + len(chunk), len(rows))
        detail = {"accounts": len(rows), "opt_ins": sum(row.opted_in_at_ms is not None for row in rows)}
        record_audit_entry("accounts_imported", "a file", None, now_ms, **detail)
        refresh_statistics(Account, PhoneNumber, AttributeValue)
    return ImportResult(len(rows), [*file.warnings, *map(str, result.warnings)])


def _existing_account_errors(rows: Sequence[AccountRow]) -> list[RowError]:
    existing = find_by_external_ids([row.external_id for row in rows])
    return [
        RowError(row.row_number, "external_id", _taken_message(row.external_id, account))
        for row in rows
        if (account := existing.get(row.external_id))
    ]


def _taken_message(external_id: str, account: AccountRef) -> str:
    if account.is_erased:
        return erased_message(account.external_id)
    return external_id_taken_message(external_id, account.external_id)


def _undeliverable_email_errors(rows: Sequence[AccountRow]) -> list[RowError]:
    problem = smtputf8_check.smtputf8_problem(row.email for row in rows)
    return [RowError(row.row_number, "email", problem) for row in rows if problem and needs_smtputf8(row.email)]


def insert_accounts(
    rows: Sequence[AccountRow],
    recipients: dict[str, int],
    attribute_ids: Mapping[str, int],
    now_ms: int,
    actor: Actor = SHELL_ACTOR,
    task_id: int | None = None,
) -> None:
    """Accounts that do not exist, with their numbers, opt-ins and attributes, by an import. Inside a transaction."""
    insert_account_rows([account_values(row, now_ms) for row in rows])
    is_new = in_list(Account.external_id, [row.external_id for row in rows])
    query = select(Account.external_id, Account.id).where(is_new)
    ids = {external_id: account_id for external_id, account_id in db.session.execute(query)}
    phones = [_phone_values(row, ids[row.external_id], recipients, now_ms) for row in rows if row.phone]
    if phones:
        db.session.connection().execute(insert(PhoneNumber), phones)
    attributes.insert_values([(ids[row.external_id], row.attributes) for row in rows if row.attributes], attribute_ids)
    opted_in = [row for row in rows if row.opted_in_at_ms is not None]
    events = (_event_values(row, ids[row.external_id], recipients, now_ms) for row in opted_in)
    ledger.append(*(event | actor.ledger_columns for event in events))
    details = {f"account {key}": {"account_id": account_id, "task_id": task_id} for key, account_id in ids.items()}
    record_audit_entries("account_created", details, actor.account_id, now_ms)


def recipient_rows(rows: Sequence[AccountRow]) -> dict[str, int]:
    """Map numbers to the row that gets their texts: the newest opt-in, unless somebody has them or sent STOP."""
    opted_in = [row for row in reversed(rows) if row.opted_in_at_ms is not None]
    newest = {row.phone: row for row in sorted(opted_in, key=lambda row: row.opted_in_at_ms or 0)}
    numbers = list(newest)
    stopped = select(PhoneState.number).where(
        in_list(PhoneState.number, numbers), PhoneState.stopped_at_ms.is_not(None)
    )
    taken = {*recipients_by_number(numbers), *db.session.scalars(stopped)}
    taken |= _superseded_numbers(newest)
    return {number: row.row_number for number, row in newest.items() if number not in taken}


def _superseded_numbers(newest: dict[str, AccountRow]) -> set[str]:
    """Numbers whose opt-in is outdated: another account added the number since, or a later event ended its texts."""
    events_by_number = ledger.events_by_number(list(newest))
    opt_ins = [ExternalOptIn(number, None, row.email, row.opted_in_at_ms or 0) for number, row in newest.items()]
    superseded = {opt_in.number for opt_in in possibly_reassigned(opt_ins, events_by_number)}
    for number, events in events_by_number.items():
        state = state_after(events, EventKind.OPT_IN, newest[number].opted_in_at_ms or 0, HYPOTHETICAL_ID)
        if state.recipient_id != HYPOTHETICAL_ID:
            superseded.add(number)
    return superseded


def _phone_values(row: AccountRow, account_id: int, recipients: dict[str, int], now_ms: int) -> dict[str, Any]:
    is_recipient = recipients.get(row.phone) == row.row_number
    return {
        "account_id": account_id,
        "number": row.phone,
        "label": "",
        "receives_sms": is_recipient,
        "receives_sms_since_ms": row.opted_in_at_ms if is_recipient else None,
        "created_at_ms": now_ms,
    }


def _event_values(row: AccountRow, account_id: int, recipients: dict[str, int], now_ms: int) -> dict[str, Any]:
    """Keep an opt-in as evidence even if it does not give the texts to this account."""
    return recording.imported_event(
        row.row_number,
        row.opted_in_day,
        now_ms,
        number=row.phone,
        account_id=account_id,
        kind=EventKind.OPT_IN if recipients.get(row.phone) == row.row_number else EventKind.EVIDENCE,
        text=row.consent_source,
        occurred_at_ms=row.opted_in_at_ms,
    )

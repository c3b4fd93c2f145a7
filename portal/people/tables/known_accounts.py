"""Accounts as an import compares them with a file, and the writing of what it changes."""

import secrets
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update

from portal.accounts.rules.account_fields import EDITABLE_FIELDS
from portal.accounts.tables import attributes
from portal.accounts.tables.accounts import Account
from portal.accounts.tables.attributes import AttributeValue, values_of
from portal.accounts.tables.phone_numbers import PhoneNumber
from portal.core.extensions import db
from portal.core.rules.case_folding import build_search_text, fold_case
from portal.core.statements import in_list
from portal.people.rules.account_changes import PHONE, KnownAccount, RowOutcome

_NEW_IDENTITY = ("email", "role")


def known_accounts(external_ids: Sequence[str], keys: Sequence[str], with_lock: bool) -> dict[str, KnownAccount]:
    """By folded account number, with their values of these attributes."""
    columns = [getattr(Account, name) for name in EDITABLE_FIELDS]
    query = select(
        *(Account.id, Account.external_id_folded, Account.external_id, Account.fs_uniquifier),
        *(Account.erased_at_ms, Account.merged_into_id, *columns),
    ).where(in_list(Account.external_id_folded, [fold_case(external_id) for external_id in external_ids]))
    rows = db.session.execute(query.with_for_update() if with_lock else query).all()
    ids = [row.id for row in rows]
    values, numbers = values_of(ids, keys) if keys else {}, _numbers_of(ids)
    return {
        row.external_id_folded: KnownAccount(
            id=row.id,
            external_id=row.external_id,
            identity=row.fs_uniquifier,
            fields={name: getattr(row, name) for name in EDITABLE_FIELDS},
            attributes=values.get(row.id, {}),
            numbers=frozenset(numbers[row.id]),
            is_erased=row.erased_at_ms is not None,
            is_merged=row.merged_into_id is not None,
        )
        for row in rows
    }


def _numbers_of(ids: Sequence[int]) -> dict[int, list[str]]:
    query = select(PhoneNumber.account_id, PhoneNumber.number).where(in_list(PhoneNumber.account_id, ids))
    numbers: dict[int, list[str]] = defaultdict(list)
    for account_id, number in db.session.execute(query):
        numbers[account_id].append(number)
    return numbers


def write_changes(outcomes: Sequence[RowOutcome], attribute_ids: dict[str, int], now_ms: int) -> list[str]:
    """Return the numbers that were added. Inside a transaction that has locked the accounts."""
    _update_fields([row for outcome in outcomes if (row := _field_row(outcome))])
    _write_values(outcomes, attribute_ids)
    phones = [
        {"account_id": outcome.known.id, "number": change.after, "label": "", "created_at_ms": now_ms}
        for outcome in outcomes
        if outcome.known
        for change in outcome.changes
        if change.field == PHONE
    ]
    if phones:
        db.session.execute(insert(PhoneNumber), phones)
    return [str(phone["number"]) for phone in phones]


def _field_row(outcome: RowOutcome) -> dict[str, Any] | None:
    """All fields with what is computed from them; None if none changes."""
    changed = {change.field: change.after for change in outcome.changes if change.field in EDITABLE_FIELDS}
    known = outcome.known
    if known is None or not changed:
        return None
    fields = {**known.fields, **changed}
    return {
        "b_id": known.id,
        **fields,
        "email_folded": fold_case(fields["email"]),
        "search_folded": build_search_text(fields["name"], fields["email"], known.external_id),
        "fs_uniquifier": secrets.token_hex(16) if changed.keys() & set(_NEW_IDENTITY) else known.identity,
    }


def _update_fields(rows: list[dict[str, Any]]) -> None:
    if rows:
        table: Any = Account.__table__
        values: dict[str, Any] = {name: bindparam(name) for name in rows[0] if name != "b_id"}
        db.session.connection().execute(update(table).where(table.c.id == bindparam("b_id")).values(values), rows)


def _write_values(outcomes: Sequence[RowOutcome], attribute_ids: dict[str, int]) -> None:
    kept, removed = [], []
    for outcome in outcomes:
        for change in outcome.changes:
            if change.field in attribute_ids and outcome.known:
                key = {"account_id": outcome.known.id, "attribute_id": attribute_ids[change.field]}
                value = outcome.row.attributes.get(change.field)
                kept.append(key | vars(value)) if value else removed.append(key)
    attributes.put_values(kept)
    for key in removed:
        db.session.execute(delete(AttributeValue).filter_by(**key))

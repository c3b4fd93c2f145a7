"""Phone numbers on an account: add, label, confirm, remove."""

from sqlalchemy.exc import IntegrityError

from portal.accounts.tables.phone_numbers import PhoneNumber, phones_of
from portal.consent import recording
from portal.consent.rules.consent_state import EventKind
from portal.consent.tables import ledger
from portal.core.actor import Actor
from portal.core.context import settings
from portal.core.errors import ActionRefused, InvalidInput, invalid_input
from portal.core.extensions import db
from portal.core.rules import text_input
from portal.core.rules.phone import PhoneError, format_phone, to_e164
from portal.core.transaction import transaction

_MAX_LABEL_LENGTH = 40
MAX_NUMBERS_PER_ACCOUNT = 10


def add_number(account_id: int, typed: str, label: str, now_ms: int, confirmed: str = "") -> int:
    """The id of the number on the account. Raises `Invalid`, fields `number` and `label`, and `Unconfirmed`.

    `confirmed` is a number of which a person has said that its digits are right. Under the ledger's lock: a START that
    is written down meanwhile counts before or after it, never both.
    """
    number, label = _parse_number(typed, confirmed), _valid_label(label)
    if len(phones_of(account_id)) >= MAX_NUMBERS_PER_ACCOUNT:
        raise InvalidInput({"number": f"An account holds at most {MAX_NUMBERS_PER_ACCOUNT} numbers. Remove one first."})
    row = PhoneNumber(account_id=account_id, number=number, label=label, created_at_ms=now_ms)
    try:
        with transaction() as session:
            ledger.lock_ledger()
            session.add(row)
            session.flush()
            recording.recompute_if_known(number, now_ms)
            return row.id
    except IntegrityError as error:
        shown = format_phone(number, settings().region)
        raise InvalidInput({"number": f"{shown} is on this account already."}) from error


def relabel_number(number_id: int, account_id: int, label: str) -> None:
    with transaction():
        _require_own_phone(number_id, account_id).label = _valid_label(label)


def remove_number(number_id: int, account_id: int, asker: Actor, now_ms: int) -> None:
    """The number leaves the account; the ledger keeps what was agreed, and a STOP stays with the number."""
    with transaction() as session:
        row = _require_own_phone(number_id, account_id)
        detail = {"held_sms": row.receives_sms, "added_at_ms": row.created_at_ms}
        who = {"account_id": account_id, **asker.ledger_columns}
        recording.record(row.number, EventKind.REMOVED, "portal", now_ms, now_ms, detail=detail, **who)
        session.delete(row)


def confirm_number(number_id: int, account_id: int, asker: Actor, now_ms: int) -> None:
    """Its owner says that the number is right although a text could not be delivered: it is tried again."""
    with transaction():
        row = _require_own_phone(number_id, account_id)
        who = {"account_id": account_id, **asker.ledger_columns}
        recording.record(row.number, EventKind.CONFIRMED, "portal", now_ms, now_ms, **who)


def _parse_number(typed: str, confirmed: str) -> str:
    try:
        return to_e164(typed, settings().region, confirmed)
    except PhoneError as error:
        raise invalid_input({"number": str(error)}, getattr(error, "number", "")) from error


def _valid_label(label: str) -> str:
    text = text_input.clean_line(label)
    if len(text) > _MAX_LABEL_LENGTH:
        raise InvalidInput({"label": f"Keep the label to {_MAX_LABEL_LENGTH} characters; this one has {len(text)}."})
    return text


def _require_own_phone(number_id: int, account_id: int) -> PhoneNumber:
    row = db.session.get(PhoneNumber, number_id)
    if row is None or row.account_id != account_id:
        raise ActionRefused("There is no such number on this account.")
    return row

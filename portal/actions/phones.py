"""Phone numbers on an account: add, label, confirm, remove."""

from sqlalchemy.exc import IntegrityError

from portal.actions import consent
from portal.actions.asker import Asker
from portal.actions.errors import Invalid, Refused, invalid
from portal.actions.transaction import transaction
from portal.context import settings
from portal.domain import text_input
from portal.domain.consent import Kind
from portal.domain.phone import PhoneError, friendly, to_e164
from portal.extensions import db
from portal.models import consent as ledger
from portal.models.phone import PhoneNumber, numbers_of

_LABEL_LIMIT = 40
MOST_NUMBERS = 10


def add_number(account_id: int, typed: str, label: str, now_ms: int, confirmed: str = "") -> int:
    """The id of the number on the account. Raises `Invalid`, fields `number` and `label`, and `Unconfirmed`.

    `confirmed` is a number of which a person has said that its digits are right. Under the ledger's lock: a START that
    is written down meanwhile counts before or after it, never both.
    """
    number, label = _checked(typed, confirmed), _checked_label(label)
    if len(numbers_of(account_id)) >= MOST_NUMBERS:
        raise Invalid({"number": f"An account holds at most {MOST_NUMBERS} numbers. Remove one first."})
    row = PhoneNumber(account_id=account_id, number=number, label=label, created_at_ms=now_ms)
    try:
        with transaction() as session:
            ledger.lock()
            session.add(row)
            session.flush()
            consent.recompute_if_known(number, now_ms)
            return row.id
    except IntegrityError as error:
        shown = friendly(number, settings().region)
        raise Invalid({"number": f"{shown} is on this account already."}) from error


def relabel_number(number_id: int, account_id: int, label: str) -> None:
    with transaction():
        _own(number_id, account_id).label = _checked_label(label)


def remove_number(number_id: int, account_id: int, asker: Asker, now_ms: int) -> None:
    """The number leaves the account; the ledger keeps what was agreed, and a STOP stays with the number."""
    with transaction() as session:
        row = _own(number_id, account_id)
        detail = {"held_sms": row.holds_sms, "added_at_ms": row.created_at_ms}
        who = {"account_id": account_id, **asker.columns}
        consent.note(row.number, Kind.REMOVED, "portal", now_ms, now_ms, detail=detail, **who)
        session.delete(row)


def confirm_number(number_id: int, account_id: int, asker: Asker, now_ms: int) -> None:
    """Its owner says that the number is right although a text could not be delivered: it is tried again."""
    with transaction():
        row = _own(number_id, account_id)
        who = {"account_id": account_id, **asker.columns}
        consent.note(row.number, Kind.CONFIRMED, "portal", now_ms, now_ms, **who)


def _checked(typed: str, confirmed: str) -> str:
    try:
        return to_e164(typed, settings().region, confirmed)
    except PhoneError as error:
        raise invalid({"number": str(error)}, getattr(error, "number", "")) from error


def _checked_label(label: str) -> str:
    text = text_input.one_line(label)
    if len(text) > _LABEL_LIMIT:
        raise Invalid({"label": f"Keep the label to {_LABEL_LIMIT} characters; this one has {len(text)}."})
    return text


def _own(number_id: int, account_id: int) -> PhoneNumber:
    row = db.session.get(PhoneNumber, number_id)
    if row is None or row.account_id != account_id:
        raise Refused("There is no such number on this account.")
    return row

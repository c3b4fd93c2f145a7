"""Add, label, confirm, stop and remove the phone numbers of an account."""

from sqlalchemy.exc import IntegrityError

from portal.accounts.account_permissions import require_permission
from portal.accounts.rules.access_rules import is_owner
from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import PhoneNumber, phones_of
from portal.consent import recording
from portal.consent.rules.consent_state import EventKind, EventSource
from portal.consent.tables import ledger
from portal.core.actor import SHELL_ACTOR, Actor
from portal.core.audit_log import record_audit_entry
from portal.core.context import settings
from portal.core.errors import ActionRefused, InvalidInput, invalid_input
from portal.core.extensions import db
from portal.core.rules import text_input
from portal.core.rules.phone import PhoneError, format_phone, mask_phone, to_e164
from portal.core.transaction import transaction
from portal.core.translation import gettext as _
from portal.gateways import queue

_MAX_LABEL_LENGTH = 40
MAX_NUMBERS_PER_ACCOUNT = 10


def add_number(
    account_id: int, typed: str, label: str, now_ms: int, confirmed: str = "", actor: Actor = SHELL_ACTOR
) -> int:
    """Return the id of the new row. Raises `InvalidInput` (fields `number` and `label`) or `NumberUnconfirmed`.

    `confirmed` is a number whose digits a person has confirmed. The ledger's lock keeps a START that is recorded at the
    same time either before or after this.
    """
    number, label = _parse_number(typed, confirmed), _valid_label(label)
    if len(phones_of(account_id)) >= MAX_NUMBERS_PER_ACCOUNT:
        message = _(
            "An account can have %(limit)s phone numbers at most. Remove one first.", limit=MAX_NUMBERS_PER_ACCOUNT
        )
        raise InvalidInput({"number": message})
    row = PhoneNumber(account_id=account_id, number=number, label=label, created_at_ms=now_ms)
    try:
        with transaction() as session:
            ledger.lock_ledger()
            account = session.get_one(Account, account_id)
            require_permission(actor.account_id, account)
            if account.erased_at_ms:
                raise InvalidInput({"number": _("The personal data of this account was erased.")})
            session.add(row)
            session.flush()
            if any(event.kind != EventKind.ADDED for event in ledger.events_of(number)):
                recording.recompute([number], now_ms)
            audit_number_change("number_added", row, actor, now_ms)
            return row.id
    except IntegrityError as error:
        message = _("%(number)s is already on this account.", number=format_phone(number, settings().region))
        raise InvalidInput({"number": message}) from error


def relabel_number(number_id: int, account_id: int, label: str, actor: Actor, now_ms: int) -> None:
    with transaction():
        row, label = _require_own_phone(number_id, account_id, actor), _valid_label(label)
        if label != row.label:
            row.label = label
            audit_number_change("number_relabeled", row, actor, now_ms)


def remove_number(number_id: int, account_id: int, actor: Actor, now_ms: int) -> None:
    """Remove the number from the account. The ledger keeps its consent, and a STOP stays with the number."""
    with transaction() as session:
        row = _require_own_phone(number_id, account_id, actor)
        detail = {"received_sms": row.receives_sms, "added_at_ms": row.created_at_ms}
        columns = {"account_id": account_id, **actor.ledger_columns}
        recording.record(row.number, EventKind.REMOVED, EventSource.PORTAL, now_ms, now_ms, detail=detail, **columns)
        audit_number_change("number_removed", row, actor, now_ms)
        session.delete(row)


def confirm_number(number_id: int, account_id: int, actor: Actor, now_ms: int) -> None:
    """Record that the number is right although a text could not be delivered, so that it gets texts again."""
    with transaction():
        row = _require_own_phone(number_id, account_id, actor)
        columns = {"account_id": account_id, **actor.ledger_columns}
        recording.record(row.number, EventKind.CONFIRMED, EventSource.PORTAL, now_ms, now_ms, **columns)
        audit_number_change("number_confirmed", row, actor, now_ms)


def stop_texts(number_id: int, account_id: int, actor: Actor, now_ms: int) -> None:
    """Stop the number's texts for every account, as STOP from it does (docs/consent-rules.md#stop-in-the-portal).

    Only the account that gets the texts can, since anybody can add a stranger's number. A second click changes nothing.
    Raises `ActionRefused`.
    """
    with transaction():
        ledger.lock_ledger()
        row = _require_own_phone(number_id, account_id, actor)
        state = recording.consent_state_of(row.number)
        if state.recipient_id != account_id:
            raise ActionRefused(_("This account gets no texts at this number."))
        if state.stopped_at_ms is None:
            columns = {"account_id": account_id, **actor.ledger_columns}
            recording.record(row.number, EventKind.STOP, EventSource.PORTAL, now_ms, now_ms, **columns)
    queue.enqueue(settings().redis_url, "drain_sms")


def audit_number_change(action: str, row: PhoneNumber, actor: Actor, now_ms: int) -> None:
    """Must be called inside a transaction."""
    subject, number = f"account {row.account.external_id}", mask_phone(row.number)
    record_audit_entry(action, subject, actor.account_id, now_ms, number=number, account_id=row.account_id)


def _parse_number(typed: str, confirmed: str) -> str:
    try:
        return to_e164(typed, settings().region, confirmed)
    except PhoneError as error:
        raise invalid_input({"number": str(error)}, getattr(error, "number", "")) from error


def _valid_label(label: str) -> str:
    text = text_input.clean_line(label)
    if len(text) > _MAX_LABEL_LENGTH:
        raise InvalidInput(
            {
                "label": _(
                    "Keep the label to %(limit)s characters; this one has %(count)s.",
                    limit=_MAX_LABEL_LENGTH,
                    count=len(text),
                )
            }
        )
    return text


def _require_own_phone(number_id: int, account_id: int, actor: Actor) -> PhoneNumber:
    row = db.session.get(PhoneNumber, number_id)
    if row is None or not is_owner(row.account_id, account_id):
        raise ActionRefused(_("This number is not on the account."))
    require_permission(actor.account_id, row.account)
    return row

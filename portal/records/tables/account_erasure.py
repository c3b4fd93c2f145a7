"""Remove what is known of a person, and leave that something was sent (ADR 46)."""

import secrets
from typing import Any

from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.orm import InstrumentedAttribute

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.attributes import AttributeValue
from portal.accounts.tables.known_addresses import KnownAddress
from portal.accounts.tables.phone_numbers import PhoneNumber, PhoneState
from portal.consent.tables.inbound_messages import InboundMessage
from portal.consent.tables.ledger import ConsentEvent
from portal.consent.tables.reply_notes import ReplyNote
from portal.core.audit_log import AuditEntry
from portal.core.extensions import db
from portal.core.rules.delivery_status import WAITING, DeliveryState
from portal.core.statements import in_list
from portal.messages.tables import transitions
from portal.messages.tables.communications import Attempt, Communication, Delivery, Receipt
from portal.records.rules.retention_kinds import EXPIRING_KINDS
from portal.records.tables.saved_searches import SavedSearch
from portal.records.tables.search_index import SearchSubject
from portal.sends.tables.recipient_files import RecipientRow

ERASED_NAME, ERASED_SUBJECT = "Erased account", "(erased)"
_IN_FLIGHT = (DeliveryState.SENDING, DeliveryState.UNKNOWN)
_AUDITED_VALUES = ("attribute_set", "timezone_changed", "account_changed")
"""Actions whose entries quote personal data."""


def count(column: InstrumentedAttribute[int] | InstrumentedAttribute[int | None], account_id: int) -> int:
    """The rows of a table that are about the account."""
    return db.session.scalar(select(func.count()).where(column == account_id)) or 0


def has_message_in_flight(account_id: int) -> bool:
    """Whether a provider may have a message that the portal has heard nothing of yet."""
    query = _deliveries_of(account_id).where(Delivery.state.in_(_IN_FLIGHT))
    return db.session.scalar(query.limit(1)) is not None


def numbers_of(account_id: int) -> list[str]:
    """Those that the account has or had, and that no other account has."""
    own = select(PhoneNumber.number).where(PhoneNumber.account_id == account_id)
    earlier = select(ConsentEvent.number).where(ConsentEvent.account_id == account_id)
    others = select(PhoneNumber.number).where(PhoneNumber.account_id != account_id)
    return sorted(set(db.session.scalars(own.union(earlier))) - set(db.session.scalars(others)))


def stopped_numbers(numbers: list[str]) -> list[str]:
    query = select(PhoneState.number).where(in_list(PhoneState.number, numbers), PhoneState.stopped_at_ms.is_not(None))
    return list(db.session.scalars(query))


def cancel_waiting(account_id: int, now_ms: int) -> None:
    for state in WAITING:
        ids = list(db.session.scalars(_deliveries_of(account_id).where(Delivery.state == state)))
        transitions.follow_send(ids, DeliveryState.CANCELED, now_ms, state)


def empty_communications(account_id: int, now_ms: int) -> None:
    """Of invitations and welcomes, which are evidence of consent, only the email address is removed."""
    of_account = Communication.account_id == account_id
    expiring = select(Communication.id).where(of_account, Communication.kind.in_(EXPIRING_KINDS))
    emptied = {"subject": ERASED_SUBJECT, "body": "", "body_deleted_at_ms": now_ms}
    deliveries = select(Delivery.id).where(Delivery.communication_id.in_(expiring))
    emails = _deliveries_of(account_id).where(Delivery.channel == "email")
    _execute(update(Attempt).where(Attempt.delivery_id.in_(deliveries.union(emails))).values(**_EMPTY_ATTEMPT))
    _execute(update(Receipt).where(Receipt.delivery_id.in_(deliveries)).values(raw={}))
    _execute(update(Delivery).where(Delivery.communication_id.in_(expiring)).values(address="", body=""))
    _execute(update(Delivery).where(Delivery.id.in_(emails)).values(address=""))
    _execute(update(Communication).where(Communication.id.in_(expiring)).values(**emptied))
    _execute(delete(SearchSubject).where(SearchSubject.communication_id.in_(expiring)))


_EMPTY_ATTEMPT: dict[str, Any] = {"destination": "", "detail": "", "provider_response": None}


def empty_inbound(numbers: list[str], now_ms: int) -> None:
    """The words of texts that are not in the ledger."""
    in_ledger = select(ConsentEvent.message_sid).where(in_list(ConsentEvent.number, numbers))
    texts = select(InboundMessage.id).where(
        in_list(InboundMessage.from_number, numbers), InboundMessage.provider_id.not_in(in_ledger)
    )
    ids = list(db.session.scalars(texts))
    _execute(delete(ReplyNote).where(in_list(ReplyNote.message_id, ids)))
    emptied = {"body": "", "raw": {"deleted_at_ms": now_ms}, "needs_review": False}
    _execute(update(InboundMessage).where(in_list(InboundMessage.id, ids)).values(**emptied))


def empty_audit_entries(account: Account) -> None:
    about = (AuditEntry.subject == f"account {account.external_id}", AuditEntry.action.in_(_AUDITED_VALUES))
    _execute(update(AuditEntry).where(*about).values(detail={"account_id": account.id}))


def empty_account(account: Account, now_ms: int) -> None:
    """The address cannot exist (RFC 2606), and is nobody else's, so that nobody signs in with it."""
    for table in (AttributeValue, KnownAddress, SavedSearch):
        _execute(delete(table).where(table.account_id == account.id))
    _execute(update(RecipientRow).where(RecipientRow.account_id == account.id).values(data={}))
    account.name, account.email = ERASED_NAME, f"erased-{account.id}@erased.invalid"
    account.timezone, account.role, account.active, account.password = "UTC", "user", False, None
    account.fs_uniquifier, account.erased_at_ms = secrets.token_hex(16), now_ms


def _deliveries_of(account_id: int) -> Select[Any]:
    communications = select(Communication.id).where(Communication.account_id == account_id)
    return select(Delivery.id).where(Delivery.communication_id.in_(communications))


def _execute(statement: Any) -> None:
    db.session.execute(statement, execution_options={"synchronize_session": False})

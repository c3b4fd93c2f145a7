"""Remove what is known of a person, and leave that something was sent (ADR 46)."""

import json
import secrets
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, Text, delete, func, or_, select, type_coerce, update
from sqlalchemy.orm import InstrumentedAttribute

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.attributes import AttributeValue
from portal.accounts.tables.failed_sign_ins import FailedSignIn
from portal.accounts.tables.known_addresses import KnownAddress
from portal.accounts.tables.phone_numbers import PhoneNumber, PhoneState
from portal.authentication.tables.external_identities import ExternalIdentity
from portal.authentication.tables.passkeys import Passkey
from portal.authentication.tables.recovery_codes import RecoveryCode
from portal.authentication.tables.sign_in_sessions import SignInSession
from portal.authentication.tables.totp_credentials import TotpCredential
from portal.authentication.tables.trusted_devices import TrustedDevice
from portal.consent.tables.inbound_messages import InboundMessage
from portal.consent.tables.ledger import ConsentEvent
from portal.consent.tables.reply_notes import ReplyNote
from portal.content.tables.topics import TopicOptOut
from portal.core import audit_log
from portal.core.extensions import db
from portal.core.rules.delivery_status import WAITING, DeliveryState
from portal.core.statements import in_list
from portal.messages.tables import transitions
from portal.messages.tables.communications import Attempt, Communication, Delivery, Receipt
from portal.records.rules.retention_kinds import EXPIRING_KINDS
from portal.records.tables.saved_searches import SavedSearch
from portal.records.tables.search_index import SearchSubject
from portal.schedules.tables.schedules import Schedule
from portal.sends.tables.recipient_files import RecipientRow
from portal.sends.tables.saved_audiences import SavedAudience
from portal.sends.tables.sends import Send

_SIGN_IN_TABLES = (
    ExternalIdentity,
    FailedSignIn,
    KnownAddress,
    Passkey,
    RecoveryCode,
    SignInSession,
    TotpCredential,
    TrustedDevice,
)
ERASED_NAME, ERASED_SUBJECT = "Erased account", "(erased)"
_IN_FLIGHT = (DeliveryState.SENDING, DeliveryState.UNKNOWN)
_AUDITED_VALUES = (
    "attribute_set",
    "timezone_changed",
    "account_changed",
    "topics_chosen",
    "signed_in",
    "signed_out",
    "sign_in_failed",
    "passkey_added",
    "passkey_used",
    "passkey_removed",
)
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


def has_text_to_order(numbers: list[str]) -> bool:
    """Whether Twilio is still to be asked which of two texts came first, which takes the number."""
    of_numbers = (in_list(InboundMessage.from_number, numbers), InboundMessage.order_confirmed == False)  # noqa: E712
    return db.session.scalar(select(InboundMessage.id).where(*of_numbers).limit(1)) is not None


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
    """The ledger has the words and the number of those that are evidence. Their order in time stays."""
    ids = list(db.session.scalars(select(InboundMessage.id).where(in_list(InboundMessage.from_number, numbers))))
    _execute(delete(ReplyNote).where(in_list(ReplyNote.message_id, ids)))
    emptied = {"from_number": "", "body": "", "raw": {"deleted_at_ms": now_ms}, "needs_review": False}
    _execute(update(InboundMessage).where(in_list(InboundMessage.id, ids)).values(**emptied))


def remove_from_lists(account: Account) -> None:
    """Lists of accounts that somebody typed or uploaded. Who got a send is told by its communications."""
    lists = {SavedAudience: "definition", Schedule: "audience", Send: "audience"}
    for table, name in lists.items():
        # As the list is stored; others that contain the same characters are left by the comparison below.
        quoted = type_coerce(getattr(table, name), Text).contains(json.dumps(account.external_id, ensure_ascii=False))
        for row in db.session.scalars(select(table).where(quoted)):
            setattr(row, name, _without(getattr(row, name), account.external_id))
    is_of_account = or_(RecipientRow.account_id == account.id, RecipientRow.external_id == account.external_id)
    _execute(update(RecipientRow).where(is_of_account).values(external_id="", data={}))


def _without(audience: Mapping[str, Any], external_id: str) -> dict[str, Any]:
    listed = audience.get("external_ids", [])
    return {**audience, "external_ids": [other for other in listed if other != external_id]} if listed else {**audience}


def empty_audit_entries(account: Account, now_ms: int) -> None:
    ids = [entry.id for entry in audit_log.entries_about(f"account {account.external_id}", _AUDITED_VALUES)]
    audit_log.empty_entries(ids, {"account_id": account.id}, now_ms)


def empty_account(account: Account, now_ms: int) -> None:
    """The address cannot exist (RFC 2606), and is nobody else's, so that nobody signs in with it."""
    for table in (*_SIGN_IN_TABLES, AttributeValue, SavedSearch, TopicOptOut):
        _execute(delete(table).where(table.account_id == account.id))
    account.name, account.email = ERASED_NAME, f"erased-{account.id}@erased.invalid"
    account.timezone, account.role, account.active, account.password = "UTC", "user", False, None
    account.language, account.signed_in_at_ms = "", None
    account.fs_uniquifier, account.erased_at_ms = secrets.token_hex(16), now_ms


def _deliveries_of(account_id: int) -> Select[Any]:
    communications = select(Communication.id).where(Communication.account_id == account_id)
    return select(Delivery.id).where(Delivery.communication_id.in_(communications))


def _execute(statement: Any) -> None:
    db.session.execute(statement, execution_options={"synchronize_session": False})

"""Erase the personal data of an account, except what the law needs; say what is kept, and why (ADR 46)."""

from dataclasses import dataclass

from portal.accounts.account_permissions import require_permission
from portal.accounts.tables.accounts import Account
from portal.accounts.tables.attributes import AttributeValue
from portal.accounts.tables.phone_numbers import PhoneNumber, phones_of
from portal.consent import recording
from portal.consent.rules.consent_state import EventKind, EventSource
from portal.consent.tables import ledger
from portal.consent.tables.ledger import ConsentEvent
from portal.core import audit_log
from portal.core.actor import Actor
from portal.core.errors import InvalidInput
from portal.core.extensions import db
from portal.core.rules.case_folding import fold_case
from portal.core.rules.text_input import clean_code
from portal.core.transaction import transaction
from portal.core.translation import gettext as _
from portal.messages.tables.communications import Communication
from portal.records.tables import account_erasure
from portal.sends.fan_out import unfinished_send_ids


@dataclass(frozen=True)
class ErasureReport:
    """How much an erasure removes, and how much it keeps."""

    numbers: int
    attributes: int
    communications: int
    consent_events: int
    stopped_numbers: int


def preview_erasure(account_id: int) -> ErasureReport:
    return ErasureReport(
        numbers=account_erasure.count(PhoneNumber.account_id, account_id),
        attributes=account_erasure.count(AttributeValue.account_id, account_id),
        communications=account_erasure.count(Communication.account_id, account_id),
        consent_events=account_erasure.count(ConsentEvent.account_id, account_id),
        stopped_numbers=len(account_erasure.stopped_numbers(account_erasure.numbers_of(account_id))),
    )


def erase_account(account_id: int, confirmation: str, actor: Actor, now_ms: int) -> None:
    """`confirmation` is the account number, typed. Raises `InvalidInput` for `confirmation`.

    Fan-outs that have begun may hold the person's data and write them once more, so the account must wait for them.
    """
    is_fan_out_running = bool(unfinished_send_ids(now_ms))
    with transaction() as session:
        ledger.lock_ledger()
        account = session.get_one(Account, account_id, with_for_update=True)
        require_permission(actor.account_id, account)
        if problem := _problem(account, confirmation, actor, is_fan_out_running):
            raise InvalidInput({"confirmation": problem})
        report = preview_erasure(account_id)
        numbers = account_erasure.numbers_of(account_id)
        _record_removed_numbers(account_id, actor, now_ms)
        account_erasure.cancel_waiting(account_id, now_ms)
        account_erasure.empty_communications(account_id, now_ms)
        account_erasure.empty_inbound(numbers, now_ms)
        account_erasure.remove_from_lists(account)
        account_erasure.empty_audit_entries(account, now_ms)
        account_erasure.empty_account(account, now_ms)
        subject, kept = f"account {account.external_id}", {"kept_events": report.consent_events}
        detail = {"account_id": account_id, "communications": report.communications, **kept}
        audit_log.record_audit_entry("account_erased", subject, actor.account_id, now_ms, **detail)


def _problem(account: Account, confirmation: str, actor: Actor, is_fan_out_running: bool) -> str:
    if account.erased_at_ms:
        return _("This account was erased already.")
    if account.id == actor.account_id:
        return _("You cannot erase your own account. Ask another system administrator.")
    if fold_case(clean_code(confirmation)) != account.external_id_folded:
        return _("Type the account number, %(account)s, to confirm.", account=account.external_id)
    if is_fan_out_running:
        return _("A send is being prepared. Try again when its messages are prepared, in a minute or so.")
    if account_erasure.has_message_in_flight(account.id):
        return _("A message to this account is being sent, or its outcome is not known yet. Try again when it is.")
    if account_erasure.has_text_to_order(account_erasure.numbers_of(account.id)):
        return _("The order of the last texts from this person is being checked with Twilio. Try again in a minute.")
    return ""


def _record_removed_numbers(account_id: int, actor: Actor, now_ms: int) -> None:
    """In the ledger, so that the numbers get no more texts for this account. A STOP stays with its number."""
    for row in phones_of(account_id):
        detail = {"received_sms": row.receives_sms, "added_at_ms": row.created_at_ms}
        columns = {"account_id": account_id, **actor.ledger_columns}
        recording.record(row.number, EventKind.REMOVED, EventSource.PORTAL, now_ms, now_ms, detail=detail, **columns)
        db.session.delete(row)
    db.session.flush()

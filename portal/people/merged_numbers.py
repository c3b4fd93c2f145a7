"""Move the phone numbers of an account that is merged into another one (docs/consent-rules.md#merge)."""

from collections.abc import Collection

from portal.accounts.tables.phone_numbers import PhoneNumber, assign_texts, phones_of, recipients_by_number
from portal.consent import recording
from portal.consent.rules.consent_state import EventKind, EventSource
from portal.consent.tables import ledger
from portal.core.actor import Actor
from portal.core.extensions import db


def take_over_numbers(from_id: int, to_id: int, dropped: Collection[str], actor: Actor, now_ms: int) -> int:
    """Return how many numbers moved. Of a number in `dropped`, which both have, the consent of `to_id` is kept.

    Inside a transaction, after the communications have moved: a welcome that was sent is not sent again.
    """
    phones = phones_of(from_id)
    own = {phone.number: phone for phone in phones_of(to_id)}
    numbers = [phone.number for phone in phones]
    recipients = recipients_by_number(numbers)
    ledger.append(
        *(event for phone in phones for event in _events(phone, to_id, phone.number in dropped, actor, now_ms))
    )
    for phone in phones:
        _move_row(phone, own.get(phone.number), to_id, phone.number in dropped, now_ms)
    db.session.flush()
    kept = {number: (to_id, since_ms) for number, (account_id, since_ms) in recipients.items() if account_id == from_id}
    assign_texts({number: recipient for number, recipient in kept.items() if number not in dropped})
    recording.recompute(numbers, now_ms)
    return len(phones)


def _events(phone: PhoneNumber, to_id: int, is_dropped: bool, actor: Actor, now_ms: int) -> list[dict[str, object]]:
    common = {"number": phone.number, "source": EventSource.PORTAL, "occurred_at_ms": now_ms, "recorded_at_ms": now_ms}
    common |= actor.ledger_columns
    taken = {"kind": EventKind.MERGED, "account_id": to_id, "detail": {"from_account_id": phone.account_id}}
    removed_detail = {"received_sms": phone.receives_sms, "added_at_ms": phone.created_at_ms}
    removed = {"kind": EventKind.REMOVED, "account_id": phone.account_id, "detail": removed_detail}
    return [common | event for event in ([removed] if is_dropped else [taken, removed])]


def _move_row(phone: PhoneNumber, own: PhoneNumber | None, to_id: int, is_dropped: bool, now_ms: int) -> None:
    """A new row, because the account has the number from now on: the ledger says since when the other one had it."""
    if own is None:
        db.session.add(PhoneNumber(account_id=to_id, number=phone.number, label=phone.label, created_at_ms=now_ms))
    elif not is_dropped:
        own.label = phone.label or own.label
    db.session.delete(phone)

"""Consent as this room writes it: the ledger first, then what follows from it for the number and for people.

All of it inside the caller's transaction; whoever holds the ledger's lock is alone.
"""

from collections.abc import Sequence
from typing import Any

from portal.accounts.tables.phone_numbers import (
    PhoneState,
    assign_texts,
    assign_texts_in_bulk,
    is_stopped,
    phones_with,
    recipients_by_number,
)
from portal.consent import consent_notifications
from portal.consent.rules.consent_state import ConsentState, EventKind, LedgerEvent, derive_state
from portal.consent.tables import inbound_messages, ledger
from portal.core.extensions import db
from portal.core.process_tables import RESTORED, sync_cursor
from portal.core.statements import upsert, upsert_many
from portal.messages.tables.communications import Attempt, Delivery

_HYPOTHETICAL_ID = 2**62
_WELCOME_WINDOW_MS = 7 * 86_400_000
"""As long an outage of ours may last: a START heard after it is still welcomed."""


def record(number: str, kind: EventKind, source: str, occurred_at_ms: int, now_ms: int, **more: Any) -> int:
    """Write one event and all that follows from it; its id. `more` are further columns of the ledger."""
    event_id = ledger.append(
        {
            "number": number,
            "kind": kind,
            "source": source,
            "occurred_at_ms": occurred_at_ms,
            "recorded_at_ms": now_ms,
            **more,
        }
    )
    recompute(number, now_ms)
    return event_id


def recompute(number: str, now_ms: int) -> ConsentState:
    """Derive how the number stands from its whole story, write that down, and tell whom it concerns.

    Under the ledger's lock, or what somebody else has written meanwhile would be written over.
    """
    events = ledger.events_of(number)
    now = derive_state(events)
    before = next((phone.account_id for phone in phones_with(number) if phone.receives_sms), None)
    _save_state(number, now)
    _flag_for_review(now.unassigned_start_id)
    _notify(number, before, now, events, now_ms)
    if now.recipient_id is not None and _needs_welcome(now, events, now_ms):
        consent_notifications.send_welcome(
            now.recipient_id,
            number,
            now.enabled_by_event_id or 0,
            now_ms,
            displaced_account=now.displaced_id is not None,
        )
    return now


def recompute_if_known(number: str, now_ms: int) -> None:
    """As `settle`, if the ledger has anything about the number."""
    if any(event.kind != EventKind.ADDED for event in ledger.events_of(number)):
        recompute(number, now_ms)


def recompute_many(numbers: Sequence[str], now_ms: int) -> None:
    """As `settle`, for thousands of numbers in few queries: few of them take texts from somebody or are welcomed."""
    before = recipients_by_number(numbers)
    quiet: dict[str, ConsentState] = {}
    for number, events in ledger.events_by_number(numbers).items():
        now = derive_state(events)
        holder = before[number][0] if number in before else None
        if (
            holder not in (None, now.recipient_id)
            or now.unassigned_start_id is not None
            or _needs_welcome(now, events, now_ms)
        ):
            recompute(number, now_ms)
        else:
            quiet[number] = now
    upsert_many(PhoneState, [_phone_state_row(number, now) for number, now in quiet.items()], ["number"])
    given = ((number, now.recipient_id, now.receiving_since_ms) for number, now in quiet.items())
    assign_texts_in_bulk([(n, to, since) for n, to, since in given if to is not None and before.get(n) != (to, since)])


def record_reported_stop(delivery_id: int, attempt_id: str, now_ms: int) -> None:
    """Record the STOP that Twilio reports by 21610 and no webhook brought (docs/twilio.md#blocked-send)."""
    attempt = db.session.get_one(Attempt, attempt_id)
    ledger.lock_ledger()
    if not is_stopped(attempt.destination):
        detail = {"code": "21610", "delivery": delivery_id}
        record(attempt.destination, EventKind.STOP, "twilio", attempt.started_at_ms, now_ms, detail=detail)


def record_unreachable(delivery: Delivery, attempt_id: str, code: str, now_ms: int) -> None:
    """A verdict of the table of codes on the number itself. Who has it is asked to confirm or change it.

    Not those who have confirmed it since the text left, nor a sysadmin who only tried the gateway with it.
    """
    attempt = db.session.get_one(Attempt, attempt_id)
    ledger.lock_ledger()
    handset = db.session.get(PhoneState, attempt.destination, populate_existing=True)
    if attempt.destination != delivery.address or (handset is not None and handset.unreachable_at_ms is not None):
        return
    detail = {"code": code, "delivery": delivery.id}
    event_id = record(
        attempt.destination, EventKind.UNREACHABLE, "twilio", attempt.started_at_ms, now_ms, detail=detail
    )
    now = consent_state_of(attempt.destination)
    asked: int | None = delivery.communication.account_id
    if asked not in [phone.account_id for phone in phones_with(attempt.destination)]:
        asked = now.recipient_id
    if asked is not None and now.unreachable_at_ms is not None:
        consent_notifications.request_number_confirmation(asked, attempt.destination, event_id, now_ms)


def _notify(number: str, before: int | None, now: ConsentState, events: Sequence[LedgerEvent], now_ms: int) -> None:
    """Tell the account that had the texts until now, also if they have waited for a decision since."""
    lost = now.displaced_id if before is None else before
    if now.recipient_id is not None and lost not in (None, now.recipient_id) and now.enabled_by_event_id is not None:
        consent_notifications.notify_displaced(lost, number, now.enabled_by_event_id, now_ms)
    if now.recipient_id is None and before is not None and now.displaced_id == before:
        confirmed = max((event.id for event in events if event.kind == EventKind.CONFIRMED), default=0)
        consent_notifications.notify_decision_pending(before, number, now.unassigned_start_id or confirmed, now_ms)


def _save_state(number: str, now: ConsentState) -> None:
    assign_texts(number, now.recipient_id, now.receiving_since_ms)
    upsert(PhoneState, _phone_state_row(number, now), ["number"])


def _phone_state_row(number: str, now: ConsentState) -> dict[str, Any]:
    return {
        "number": number,
        "stopped_at_ms": now.stopped_at_ms,
        "unreachable_at_ms": now.unreachable_at_ms,
        "unreachable_code": now.unreachable_code or None,
    }


def _flag_for_review(event_id: int | None) -> None:
    """A START that gave the texts to nobody is an administrator's to decide (docs/consent-rules.md#whom-start-means).

    One question for a phone that says it again and again: only the last of them can be decided about.
    """
    message = ledger.inbound_message_of(event_id) if event_id is not None else None
    if message is not None and message.order_confirmed:
        message.needs_review = True
        inbound_messages.clear_earlier_start_reviews(message)


def _needs_welcome(now: ConsentState, events: Sequence[LedgerEvent], now_ms: int) -> bool:
    """Only START is welcomed: what was brought in from paper or moved by hand was not said by the handset just now.

    Nor was a START of long ago, which an older STOP, brought in later, makes the one that enabled the texts; and one
    from before the database was put back to an older copy was welcomed then.
    """
    started = next(
        (event.at_ms for event in events if event.id == now.enabled_by_event_id and event.kind == EventKind.START), 0
    )
    return now.receives_texts and started > now_ms - _WELCOME_WINDOW_MS and started > (sync_cursor(RESTORED) or 0)


def recipient_for_start(number: str, at_ms: int, cannot_clear_stop: bool = False) -> int | None:
    """The account that a START at this moment gives the texts to; None when it gives them to nobody anew."""
    accounts = ledger.accounts_with_number_at(number, at_ms)
    start = LedgerEvent(
        _HYPOTHETICAL_ID, EventKind.START, at_ms, account_ids=accounts, cannot_clear_stop=cannot_clear_stop
    )
    now = derive_state([*ledger.events_of(number), start])
    return now.recipient_id if now.enabled_by_event_id == _HYPOTHETICAL_ID else None


def consent_state_of(number: str) -> ConsentState:
    """How a number stands, with its open invitations."""
    return derive_state(ledger.events_of(number))

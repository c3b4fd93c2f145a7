"""Record events in the consent ledger, update the phone number's state, and notify the people concerned.

Everything runs inside the caller's transaction, under the ledger's lock.
"""

from collections.abc import Sequence
from typing import Any

from portal.accounts.tables.phone_numbers import (
    PhoneState,
    assign_texts,
    is_stopped,
    phones_with,
    recipients_by_number,
)
from portal.consent import consent_notifications
from portal.consent.rules.consent_state import (
    HYPOTHETICAL_ID,
    TWILIO_UNSUBSCRIBED_CODE,
    ConsentState,
    EventKind,
    EventSource,
    LedgerEvent,
    derive_state,
    state_after,
)
from portal.consent.tables import inbound_messages, ledger
from portal.core.coordination import RESTORED, sync_cursor
from portal.core.extensions import db
from portal.core.rules.routing import DEACTIVATED_CODE, TextKind
from portal.core.statements import upsert_many
from portal.messages.tables.communications import Attempt, Delivery

_WELCOME_WINDOW_MS = 7 * 86_400_000
"""Send the welcome for STARTs up to seven days old, the longest outage that we expect."""
_NOBODY = (None, None)


def record(number: str, kind: EventKind, source: str, occurred_at_ms: int, now_ms: int, **columns: Any) -> int:
    """Write one event, apply its consequences, and return its id. `columns` are further columns of the ledger."""
    times = {"occurred_at_ms": occurred_at_ms, "recorded_at_ms": now_ms}
    event_id = ledger.append({"number": number, "kind": kind, "source": source, **times, **columns})
    recompute([number], now_ms)
    return event_id


def imported_event(row_number: int, day: str, now_ms: int, **columns: Any) -> dict[str, Any]:
    """Return the columns of a ledger event read from a file. `day` is set if only the day is known."""
    detail = {"row": row_number} | ({"day": day} if day else {})
    return {"source": EventSource.IMPORT, "detail": detail, "recorded_at_ms": now_ms, **columns}


def recompute(numbers: Sequence[str], now_ms: int) -> None:
    """Derive the states of numbers from all their events, store them, and notify the people concerned.

    The caller must hold the ledger's lock, or it could overwrite a concurrent change.
    """
    previous = recipients_by_number(numbers)
    events_by_number = ledger.events_by_number(numbers)
    states = {number: derive_state(events) for number, events in events_by_number.items()}
    recipients = {number: (state.recipient_id, state.receiving_since_ms) for number, state in states.items()}
    assign_texts({number: new for number, new in recipients.items() if new != previous.get(number, _NOBODY)})
    upsert_many(PhoneState, [_phone_state_row(number, state) for number, state in states.items()], ["number"])
    for number, state in states.items():
        _flag_for_review(state.unassigned_start_id)
        previous_id, _since_ms = previous.get(number, _NOBODY)
        _notify(number, previous_id, state, events_by_number[number], now_ms)


def record_reported_stop(delivery_id: int, attempt_id: str, now_ms: int) -> None:
    """Record a STOP that only Twilio's error 21610 reports, without a webhook (docs/twilio.md#blocked-send)."""
    attempt = db.session.get_one(Attempt, attempt_id)
    ledger.lock_ledger()
    if not is_stopped(attempt.destination):
        detail = {"error_code": TWILIO_UNSUBSCRIBED_CODE, "delivery_id": delivery_id}
        record(attempt.destination, EventKind.STOP, EventSource.TWILIO, attempt.started_at_ms, now_ms, detail=detail)


def record_unreachable(delivery: Delivery, attempt_id: str, code: str, now_ms: int) -> None:
    """Record that the number cannot receive texts, and ask the account to confirm or change it.

    An account that has confirmed the number since the text left is not asked, nor is a sysadmin who sent a test text.
    """
    attempt = db.session.get_one(Attempt, attempt_id)
    number, sent_at_ms = attempt.destination, attempt.started_at_ms
    ledger.lock_ledger()
    phone_state = db.session.get(PhoneState, number, populate_existing=True)
    if number != delivery.address or (phone_state is not None and phone_state.unreachable_at_ms is not None):
        return
    detail = {"error_code": code, "delivery_id": delivery.id}
    event_id = record(number, EventKind.UNREACHABLE, EventSource.TWILIO, sent_at_ms, now_ms, detail=detail)
    state = consent_state_of(number)
    account_id: int | None = delivery.communication.account_id
    if account_id not in [phone.account_id for phone in phones_with(number)]:
        account_id = state.recipient_id
    if account_id is not None and state.unreachable_at_ms is not None:
        consent_notifications.send_email(consent_notifications.NUMBER_CHECK, account_id, number, event_id, now_ms)


def _notify(number: str, previous_id: int | None, state: ConsentState, events: list[LedgerEvent], now_ms: int) -> None:
    """Notify the account that loses the texts, even if a pending decision had already stopped them; welcome the next.

    Without something to say this makes no query: thousands of numbers may be recomputed at once.
    """
    account_id, event_id = state.recipient_id, state.enabled_by_event_id
    displaced_id = state.displaced_id if previous_id is None else previous_id
    if account_id is not None and event_id is not None:
        if displaced_id is not None and displaced_id != account_id:
            consent_notifications.send_email(consent_notifications.DISPLACED, displaced_id, number, event_id, now_ms)
        if _needs_welcome(state, events, now_ms):
            is_move = state.displaced_id is not None
            consent_notifications.send_text(TextKind.WELCOME, account_id, number, event_id, now_ms, is_move)
    elif previous_id is not None and state.displaced_id == previous_id:
        confirmed_id = max((event.id for event in events if event.kind == EventKind.CONFIRMED), default=0)
        event_id = state.unassigned_start_id or confirmed_id
        consent_notifications.send_email(consent_notifications.DECISION_PENDING, previous_id, number, event_id, now_ms)


def _phone_state_row(number: str, state: ConsentState) -> dict[str, Any]:
    return {
        "number": number,
        "stopped_at_ms": state.stopped_at_ms,
        "unreachable_at_ms": state.unreachable_at_ms,
        "unreachable_code": state.unreachable_code or None,
    }


def _flag_for_review(event_id: int | None) -> None:
    """Let an administrator decide on a START that gave the texts to nobody (docs/consent-rules.md#whom-start-means).

    If a phone sends START several times, only the last one is up for review.
    """
    message = ledger.inbound_message_of(event_id) if event_id is not None else None
    if message is not None and message.order_confirmed:
        message.needs_review = True
        inbound_messages.clear_earlier_start_reviews(message)


def _needs_welcome(state: ConsentState, events: Sequence[LedgerEvent], now_ms: int) -> bool:
    """Welcome only after a recent START, not an imported opt-in or a move (docs/consent-rules.md#welcome).

    Importing an older STOP can make an old START the one that enabled the texts. A START from before the database was
    restored from a backup already had its welcome.
    """
    started_ms = next(
        (event.at_ms for event in events if event.id == state.enabled_by_event_id and event.kind == EventKind.START), 0
    )
    is_recent = started_ms > now_ms - _WELCOME_WINDOW_MS and started_ms > (sync_cursor(RESTORED) or 0)
    return state.receives_texts and is_recent


def recipient_for_start(number: str, at_ms: int, cannot_clear_stop: bool = False) -> int | None:
    """Return the account that a START at this time would give the texts to; None if it enables nobody."""
    accounts, events = ledger.accounts_with_number_at(number, at_ms), ledger.events_of(number)
    state = state_after(events, EventKind.START, at_ms, account_ids=accounts, cannot_clear_stop=cannot_clear_stop)
    return state.recipient_id if state.enabled_by_event_id == HYPOTHETICAL_ID else None


def is_deactivated(number: str) -> bool:
    """As far as is known now: a START may have come after the deactivation."""
    state = db.session.get(PhoneState, number, populate_existing=True)
    return state is not None and state.unreachable_code == DEACTIVATED_CODE


def consent_state_of(number: str) -> ConsentState:
    return derive_state(ledger.events_of(number))

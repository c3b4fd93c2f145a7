"""Consent as this room writes it: the ledger first, then what follows from it for the number and for people.

All of it inside the caller's transaction; whoever holds the ledger's lock is alone.
"""

from collections.abc import Sequence
from typing import Any

from portal.actions import follow_up
from portal.domain.consent import Event, Kind, Standing, standing
from portal.extensions import db
from portal.models import consent as ledger
from portal.models.communication import Attempt, Delivery
from portal.models.phone import Handset, carriers, give_texts, is_stopped
from portal.models.upsert import put

_NOT_WRITTEN_YET = 2**62


def note(number: str, kind: Kind, source: str, occurred_at_ms: int, now_ms: int, **more: Any) -> int:
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
    settle(number, now_ms)
    return event_id


def settle(number: str, now_ms: int) -> Standing:
    """Derive how the number stands from its whole story, write that down, and tell whom it concerns."""
    events = ledger.story(number)
    now = standing(events)
    before = next((phone for phone in carriers(number) if phone.holds_sms), None)
    lost = before.account_id if before is not None and before.account_id != now.holder else None
    _write(number, now)
    if now.holder is not None and lost is not None and now.enabled_by is not None:
        follow_up.tell_displaced(lost, number, now.enabled_by, now_ms)
    if now.gets_texts and now.holder is not None and _by_start(now, events):
        follow_up.welcome(now.holder, number, now.enabled_by or 0, now_ms)
    return now


def note_late_stop(delivery_id: int, attempt_id: str, now_ms: int) -> None:
    """Twilio answered 21610: the person said STOP and we had not heard (TWILIO.md 4)."""
    attempt = db.session.get_one(Attempt, attempt_id)
    ledger.lock()
    if not is_stopped(attempt.sent_to):
        detail = {"code": "21610", "delivery": delivery_id}
        note(attempt.sent_to, Kind.STOP, "twilio", attempt.started_at_ms, now_ms, detail=detail)


def note_unreachable(delivery: Delivery, attempt_id: str, code: str, now_ms: int) -> None:
    """A verdict of the table of codes on the number itself. Its people are asked to confirm or change it."""
    attempt = db.session.get_one(Attempt, attempt_id)
    ledger.lock()
    handset = db.session.get(Handset, attempt.sent_to, populate_existing=True)
    if attempt.sent_to != delivery.address or (handset is not None and handset.unreachable_at_ms is not None):
        return
    detail = {"code": code, "delivery": delivery.id}
    event_id = note(attempt.sent_to, Kind.UNREACHABLE, "twilio", attempt.started_at_ms, now_ms, detail=detail)
    follow_up.ask_to_confirm(delivery.communication.account_id, attempt.sent_to, event_id, now_ms)


def _write(number: str, now: Standing) -> None:
    give_texts(number, now.holder, now.since_ms)
    row = {
        "number": number,
        "stopped_at_ms": now.stopped_ms,
        "unreachable_at_ms": now.unreachable_ms,
        "unreachable_code": now.unreachable_code or None,
    }
    put(Handset, row, ["number"])


def _by_start(now: Standing, events: Sequence[Event]) -> bool:
    """Only START is welcomed: what was brought in from paper or moved by hand was not said by the handset just now."""
    return any(event.id == now.enabled_by and event.kind == Kind.START for event in events)


def whom_start_would_give(number: str, at_ms: int) -> int | None:
    """The account that a START at this moment gives the texts to; None when it gives them to nobody anew."""
    accounts = frozenset(phone.account_id for phone in carriers(number))
    start = Event(_NOT_WRITTEN_YET, Kind.START, at_ms, carriers=accounts)
    now = standing([*ledger.story(number), start])
    return now.holder if now.enabled_by == _NOT_WRITTEN_YET else None


def standing_of(number: str) -> Standing:
    """How a number stands, with its open invitations."""
    return standing(ledger.story(number))

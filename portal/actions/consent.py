"""Consent as this room writes it: the ledger first, then what follows from it for the number and for people.

All of it inside the caller's transaction; whoever holds the ledger's lock is alone.
"""

from collections.abc import Sequence
from typing import Any

from portal.actions import follow_up
from portal.domain.consent import Event, Kind, Standing, standing
from portal.extensions import db
from portal.models import consent as ledger
from portal.models import inbound
from portal.models.communication import Attempt, Delivery
from portal.models.gateway import RESTORED, bookmark
from portal.models.phone import Handset, carriers, give_all, give_texts, holders, is_stopped
from portal.models.upsert import put, put_all

_NOT_WRITTEN_YET = 2**62
_JUST_NOW_MS = 7 * 86_400_000
"""As long an outage of ours may last: a START heard after it is still welcomed."""


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
    """Derive how the number stands from its whole story, write that down, and tell whom it concerns.

    Under the ledger's lock, or what somebody else has written meanwhile would be written over.
    """
    events = ledger.story(number)
    now = standing(events)
    before = next((phone.account_id for phone in carriers(number) if phone.holds_sms), None)
    _write(number, now)
    _ask_about(now.unanswered)
    _tell(number, before, now, events, now_ms)
    if now.holder is not None and _is_to_welcome(now, events, now_ms):
        follow_up.welcome(now.holder, number, now.enabled_by or 0, now_ms, moved=now.displaced is not None)
    return now


def recompute_if_known(number: str, now_ms: int) -> None:
    """As `settle`, if the ledger has anything about the number."""
    if any(event.kind != Kind.ADDED for event in ledger.story(number)):
        settle(number, now_ms)


def settle_many(numbers: Sequence[str], now_ms: int) -> None:
    """As `settle`, for thousands of numbers in few queries: few of them take texts from somebody or are welcomed."""
    before = holders(numbers)
    quiet: dict[str, Standing] = {}
    for number, events in ledger.stories(numbers).items():
        now = standing(events)
        holder = before[number][0] if number in before else None
        if holder not in (None, now.holder) or now.unanswered is not None or _is_to_welcome(now, events, now_ms):
            settle(number, now_ms)
        else:
            quiet[number] = now
    put_all(Handset, [_handset(number, now) for number, now in quiet.items()], ["number"])
    given = ((number, now.holder, now.since_ms) for number, now in quiet.items())
    give_all([(n, to, since) for n, to, since in given if to is not None and before.get(n) != (to, since)])


def note_late_stop(delivery_id: int, attempt_id: str, now_ms: int) -> None:
    """Record the STOP that Twilio reports by 21610 and no webhook brought (docs/twilio.md#blocked-send)."""
    attempt = db.session.get_one(Attempt, attempt_id)
    ledger.lock()
    if not is_stopped(attempt.sent_to):
        detail = {"code": "21610", "delivery": delivery_id}
        note(attempt.sent_to, Kind.STOP, "twilio", attempt.started_at_ms, now_ms, detail=detail)


def note_unreachable(delivery: Delivery, attempt_id: str, code: str, now_ms: int) -> None:
    """A verdict of the table of codes on the number itself. Who has it is asked to confirm or change it.

    Not those who have confirmed it since the text left, nor a sysadmin who only tried the gateway with it.
    """
    attempt = db.session.get_one(Attempt, attempt_id)
    ledger.lock()
    handset = db.session.get(Handset, attempt.sent_to, populate_existing=True)
    if attempt.sent_to != delivery.address or (handset is not None and handset.unreachable_at_ms is not None):
        return
    detail = {"code": code, "delivery": delivery.id}
    event_id = note(attempt.sent_to, Kind.UNREACHABLE, "twilio", attempt.started_at_ms, now_ms, detail=detail)
    now = standing_of(attempt.sent_to)
    asked: int | None = delivery.communication.account_id
    if asked not in [phone.account_id for phone in carriers(attempt.sent_to)]:
        asked = now.holder
    if asked is not None and now.unreachable_ms is not None:
        follow_up.ask_to_confirm(asked, attempt.sent_to, event_id, now_ms)


def _tell(number: str, before: int | None, now: Standing, events: Sequence[Event], now_ms: int) -> None:
    """Tell the account that had the texts until now, also if they have waited for a decision since."""
    lost = now.displaced if before is None else before
    if now.holder is not None and lost not in (None, now.holder) and now.enabled_by is not None:
        follow_up.tell_displaced(lost, number, now.enabled_by, now_ms)
    if now.holder is None and before is not None and now.displaced == before:
        confirmed = max((event.id for event in events if event.kind == Kind.CONFIRMED), default=0)
        follow_up.tell_waiting(before, number, now.unanswered or confirmed, now_ms)


def _write(number: str, now: Standing) -> None:
    give_texts(number, now.holder, now.since_ms)
    put(Handset, _handset(number, now), ["number"])


def _handset(number: str, now: Standing) -> dict[str, Any]:
    return {
        "number": number,
        "stopped_at_ms": now.stopped_ms,
        "unreachable_at_ms": now.unreachable_ms,
        "unreachable_code": now.unreachable_code or None,
    }


def _ask_about(event_id: int | None) -> None:
    """A START that gave the texts to nobody is an administrator's to decide (docs/consent-rules.md#whom-start-means).

    One question for a phone that says it again and again: only the last of them can be decided about.
    """
    message = ledger.message_of(event_id) if event_id is not None else None
    if message is not None and message.sure:
        message.asks = True
        inbound.forget_earlier_starts(message)


def _is_to_welcome(now: Standing, events: Sequence[Event], now_ms: int) -> bool:
    """Only START is welcomed: what was brought in from paper or moved by hand was not said by the handset just now.

    Nor was a START of long ago, which an older STOP, brought in later, makes the one that enabled the texts; and one
    from before the database was put back to an older copy was welcomed then.
    """
    started = next((event.at_ms for event in events if event.id == now.enabled_by and event.kind == Kind.START), 0)
    return now.gets_texts and started > now_ms - _JUST_NOW_MS and started > (bookmark(RESTORED) or 0)


def whom_start_would_give(number: str, at_ms: int, lifts_no_stop: bool = False) -> int | None:
    """The account that a START at this moment gives the texts to; None when it gives them to nobody anew."""
    accounts = ledger.accounts_at(number, at_ms)
    start = Event(_NOT_WRITTEN_YET, Kind.START, at_ms, carriers=accounts, lifts_no_stop=lifts_no_stop)
    now = standing([*ledger.story(number), start])
    return now.holder if now.enabled_by == _NOT_WRITTEN_YET else None


def standing_of(number: str) -> Standing:
    """How a number stands, with its open invitations."""
    return standing(ledger.story(number))

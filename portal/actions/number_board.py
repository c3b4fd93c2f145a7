"""A number and everybody on whose account it stands: how it stands, who gets its texts, who was invited."""

from dataclasses import dataclass

from portal.actions.consent import standing_of, whom_start_would_give
from portal.actions.consent_by_hand import may_move
from portal.actions.evidence import Told, tell
from portal.actions.twilio_api import sending_number
from portal.domain.consent import Standing, invited_now
from portal.domain.consent_words import Words, standing_words
from portal.extensions import db
from portal.models import inbound
from portal.models.account import Account
from portal.models.consent import ConsentEvent, day_of
from portal.models.consent_search import Sought, page
from portal.models.inbound import InboundMessage
from portal.models.phone import carriers

_MOST_SHOWN = 200


@dataclass(frozen=True)
class Carrier:
    """An account with the number on it. `since_ms` is set for the one that gets its texts, `by_start` for the one that
    START would give them to at a stopped number."""

    account: Account
    label: str
    added_ms: int
    since_ms: int | None
    since_day: str
    invited_ms: int | None
    may_get: bool
    by_start: bool


@dataclass(frozen=True)
class Board:
    """`because` is the event that made the number stand as it does; `detail` says what can change that."""

    number: str
    standing: Standing
    words: Words
    since_ms: int | None
    since_day: str
    because: Told | None
    detail: str
    carriers: list[Carrier]


@dataclass(frozen=True)
class Happened:
    """One line of a number's story: an event of the ledger, or a text that says nothing about consent."""

    at_ms: int
    told: Told | None = None
    message: InboundMessage | None = None


def board(number: str, now_ms: int) -> Board:
    now = standing_of(number)
    invited = invited_now(now, now_ms)
    by_start = whom_start_would_give(number, now_ms) if now.stopped_ms is not None else None
    found = [
        Carrier(
            account=phone.account,
            label=phone.label,
            added_ms=phone.created_at_ms,
            since_ms=now.since_ms if phone.account_id == now.holder else None,
            since_day=day_of(now.enabled_by, now.since_ms),
            invited_ms=invited.get(phone.account_id),
            may_get=may_move(now, phone.account_id),
            by_start=phone.account_id == by_start,
        )
        for phone in carriers(number)
    ]
    since_ms, event_id = _cause(now)
    event = db.session.get(ConsentEvent, event_id) if event_id else None
    because = tell([event])[0] if event else None
    day, in_doubt = day_of(event_id, since_ms), bool(found) and by_start is None
    detail = _detail(number, now, in_doubt)
    return Board(number, now, standing_words(now, now_ms), since_ms, day, because, detail, found)


def what_ends(found: Board) -> list[str]:
    """Whose number it is and what an opt-out ends for them, a sentence each; for pages and the shell."""
    if not found.carriers:
        return ["No account has this number. Whoever adds it gets no texts there."]
    return [
        f"{one.account.name}, {one.account.external_id}, {_ends_for(one, found.standing)}" for one in found.carriers
    ]


def _ends_for(one: Carrier, now: Standing) -> str:
    if one.since_ms is not None and now.gets_texts:
        return "gets texts there now. They end, also those that wait to leave."
    return "asked for texts there, and gets none." if one.invited_ms is not None else "gets no texts there now."


def story(number: str) -> list[Happened]:
    """In order of time; of a very long story the newest part."""
    events = page(Sought(number=number), None, _MOST_SHOWN)
    sids = {event.message_sid for event in events}
    told = [Happened(told.event.occurred_at_ms, told=told) for told in tell(events)]
    texts = [text for text in inbound.from_sender(number)[-_MOST_SHOWN:] if text.provider_id not in sids]
    found = [*told, *(Happened(text.order_at_ms, message=text) for text in texts)]
    return sorted(found, key=lambda one: (one.at_ms, one.told.event.id if one.told else 0))


def _cause(now: Standing) -> tuple[int | None, int | None]:
    """Since when, and by which event."""
    if now.stopped_ms is not None:
        return now.stopped_ms, now.stopped_by
    if now.unreachable_ms is not None:
        return now.unreachable_ms, None
    if now.holder is not None:
        return now.since_ms, now.enabled_by
    return None, now.unanswered


def _detail(number: str, now: Standing, in_doubt: bool) -> str:
    if now.stopped_ms is not None:
        doubt = (
            " It would wait for a decision, since it is not known for which account it would be." if in_doubt else ""
        )
        return (
            "Nothing is texted to it, whoever’s account it is on. No button undoes that: only a text with the word "
            f"START from that phone to {sending_number(number)} does.{doubt}"
        )
    if now.unreachable_ms is not None:
        return "No text goes there until somebody on whose account it stands has confirmed it."
    if now.holder is None and now.unanswered is not None:
        return "Choose below which account gets its texts."
    return "" if now.holder is not None else "Nothing is texted to it but an invitation, until START comes from it."

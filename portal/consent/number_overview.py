"""A number and everybody on whose account it stands: how it stands, who gets its texts, who was invited."""

from dataclasses import dataclass

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.phone_numbers import phones_with
from portal.consent.consent_export import DescribedEvent, describe_events
from portal.consent.manual_consent import can_move_texts
from portal.consent.recording import consent_state_of, recipient_for_start
from portal.consent.rules.consent_labels import Label, state_label
from portal.consent.rules.consent_state import ConsentState, open_requests
from portal.consent.tables import inbound_messages
from portal.consent.tables.inbound_messages import InboundMessage
from portal.consent.tables.ledger import ConsentEvent, event_day
from portal.consent.tables.ledger_search import LedgerFilter, ledger_page
from portal.core.extensions import db
from portal.settings.live_gateway import sending_number_label

_MAX_EVENTS = 200


@dataclass(frozen=True)
class NumberAccount:
    """An account with the number on it. `since_ms` is set for the one that gets its texts, `is_start_recipient` for the one that
    START would give them to at a stopped number."""

    account: Account
    label: str
    added_ms: int
    receiving_since_ms: int | None
    since_day: str
    invited_ms: int | None
    may_receive: bool
    is_start_recipient: bool


@dataclass(frozen=True)
class NumberOverview:
    """`cause_event` is the event that made the number stand as it does; `detail` says what can change that."""

    number: str
    consent_state: ConsentState
    label: Label
    receiving_since_ms: int | None
    since_day: str
    cause_event: DescribedEvent | None
    detail: str
    accounts: list[NumberAccount]


@dataclass(frozen=True)
class NumberEvent:
    """One line of a number's story: an event of the ledger, or a text that says nothing about consent."""

    at_ms: int
    event: DescribedEvent | None = None
    message: InboundMessage | None = None


def load_number_overview(number: str, now_ms: int) -> NumberOverview:
    now = consent_state_of(number)
    invited = open_requests(now, now_ms)
    by_start = recipient_for_start(number, now_ms) if now.stopped_at_ms is not None else None
    found = [
        NumberAccount(
            account=phone.account,
            label=phone.label,
            added_ms=phone.created_at_ms,
            receiving_since_ms=now.receiving_since_ms if phone.account_id == now.recipient_id else None,
            since_day=event_day(now.enabled_by_event_id, now.receiving_since_ms),
            invited_ms=invited.get(phone.account_id),
            may_receive=can_move_texts(now, phone.account_id),
            is_start_recipient=phone.account_id == by_start,
        )
        for phone in phones_with(number)
    ]
    since_ms, event_id = _cause_of_state(now)
    event = db.session.get(ConsentEvent, event_id) if event_id else None
    because = describe_events([event])[0] if event else None
    day, in_doubt = event_day(event_id, since_ms), bool(found) and by_start is None
    detail = _detail(number, now, in_doubt)
    return NumberOverview(number, now, state_label(now, now_ms), since_ms, day, because, detail, found)


def opt_out_effects(found: NumberOverview) -> list[str]:
    """Whose number it is and what an opt-out ends for them, a sentence each; for pages and the shell."""
    if not found.accounts:
        return ["No account has this number. Whoever adds it gets no texts there."]
    return [
        f"{one.account.name}, {one.account.external_id}, {_opt_out_effect(one, found.consent_state)}"
        for one in found.accounts
    ]


def _opt_out_effect(one: NumberAccount, now: ConsentState) -> str:
    if one.receiving_since_ms is not None and now.receives_texts:
        return "gets texts there now. They end, also those that wait to leave."
    return "asked for texts there, and gets none." if one.invited_ms is not None else "gets no texts there now."


def number_history(number: str) -> list[NumberEvent]:
    """In order of time; of a very long story the newest part."""
    events = ledger_page(LedgerFilter(number=number), None, _MAX_EVENTS)
    sids = {event.message_sid for event in events}
    told = [NumberEvent(told.event.occurred_at_ms, event=told) for told in describe_events(events)]
    texts = [text for text in inbound_messages.messages_from(number)[-_MAX_EVENTS:] if text.provider_id not in sids]
    found = [*told, *(NumberEvent(text.order_at_ms, message=text) for text in texts)]
    return sorted(found, key=lambda one: (one.at_ms, one.event.event.id if one.event else 0))


def _cause_of_state(now: ConsentState) -> tuple[int | None, int | None]:
    """Since when, and by which event."""
    if now.stopped_at_ms is not None:
        return now.stopped_at_ms, now.stopped_by_event_id
    if now.unreachable_at_ms is not None:
        return now.unreachable_at_ms, None
    if now.recipient_id is not None:
        return now.receiving_since_ms, now.enabled_by_event_id
    return None, now.unassigned_start_id


def _detail(number: str, now: ConsentState, in_doubt: bool) -> str:
    if now.stopped_at_ms is not None:
        doubt = (
            " It would wait for a decision, since it is not known for which account it would be." if in_doubt else ""
        )
        return (
            "Nothing is texted to it, whoever’s account it is on. No button undoes that: only a text with the word "
            f"START from that phone to {sending_number_label(number)} does.{doubt}"
        )
    if now.unreachable_at_ms is not None:
        return "No text goes there until somebody on whose account it stands has confirmed it."
    if now.recipient_id is None and now.unassigned_start_id is not None:
        return "Choose below which account gets its texts."
    return (
        "" if now.recipient_id is not None else "Nothing is texted to it but an invitation, until START comes from it."
    )

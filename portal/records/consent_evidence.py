"""The event of the consent ledger that a text relied on when it left."""

from collections.abc import Sequence
from typing import NamedTuple

from portal.consent.rules.consent_state import enabling_event_id, known_at
from portal.consent.tables import ledger, ledger_search
from portal.core.rules.routing import TextKind
from portal.messages.tables.communications import Communication


class RelyingText(NamedTuple):
    """A text to `number`, the recipient's own, for this account."""

    communication_id: int
    number: str
    account_id: int
    sent_at_ms: int


def events_relied_on(communications: Sequence[Communication]) -> dict[int, int]:
    """Map communications to the event behind their text. A text that needs no consent, or never left, has none.

    An invitation or a welcome names its event. For a notification, it is the one that let the account’s texts go to the
    number, by what the ledger held at that moment.
    """
    named = {item.id: item.consent_event_id for item in communications if item.consent_event_id}
    texts = [text for item in communications if item.kind == TextKind.NOTIFICATION for text in _texts_that_left(item)]
    numbers = list({text.number for text in texts})
    histories = ledger.events_by_number(numbers) if numbers else {}
    recorded_at_ms = ledger_search.recorded_at_by_event(numbers) if numbers else {}
    for text in texts:
        known = known_at(text.sent_at_ms, histories.get(text.number, []), recorded_at_ms)
        if event_id := enabling_event_id(known, text.account_id):
            named[text.communication_id] = event_id
    return named


def _texts_that_left(item: Communication) -> list[RelyingText]:
    """The last attempt counts: it is the one whose outcome the delivery shows."""
    return [
        RelyingText(item.id, delivery.address, item.account_id, delivery.attempt_history[-1].started_at_ms)
        for delivery in item.deliveries
        if delivery.channel == "sms" and delivery.attempt_history
    ]

"""How a communication's deliveries read on a page."""

from dataclasses import dataclass

from portal.actions.timeline import TimelineEntry, entries, explain_state, where_to
from portal.domain.status import STATES, standing
from portal.models.communication import Communication, Delivery
from portal.web.layout import sms_shown

CHANNELS = {"email": "Email", "sms": "Text"}


@dataclass(frozen=True)
class Status:
    """One channel: `words` with a `tone`, and `detail` for those who have to act on it.

    `where_to` tells of a text that did not go to the number it was meant for.
    """

    channel: str
    name: str
    words: str
    tone: str
    detail: str
    delivery: Delivery
    where_to: str = ""


def statuses(communication: Communication, also_texts: bool = False) -> list[Status]:
    """Email, then the text while anything of SMS shows, or where it is asked for."""
    shown = also_texts or sms_shown()
    return [status_of(delivery) for delivery in communication.deliveries if delivery.channel == "email" or shown]


def story(communication: Communication) -> list[tuple[Status, list[TimelineEntry]]]:
    return [(status, entries(status.delivery)) for status in statuses(communication)]


def is_settled(communication: Communication) -> bool:
    """Nothing more is to be expected, so that a page can stop looking."""
    found = [standing(delivery.state, delivery.next_at_ms) for delivery in communication.deliveries]
    return all(STATES[state].final or state == "unreported" for state in found)


def status_of(delivery: Delivery) -> Status:
    return Status(delivery.channel, CHANNELS[delivery.channel], *explain_state(delivery), delivery, where_to(delivery))

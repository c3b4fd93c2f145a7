"""How a communication's deliveries read on a page."""

from dataclasses import dataclass, replace

from portal.consent.tables.ledger import has_consented_for_all_numbers
from portal.core.rules.delivery_status import STATES, DeliveryState, displayed_state
from portal.core.rules.routing import Reason
from portal.messages.tables.communications import Communication, Delivery
from portal.messages.timeline import TimelineEntry, describe_state, redirect_note, timeline_entries
from portal.web.layout import is_sms_visible

CHANNEL_LABELS = {"email": "Email", "sms": "Text"}
_OTHER_ACCOUNT_REASONS = (Reason.STOPPED, Reason.OTHER_ACCOUNT_RECEIVES)


@dataclass(frozen=True)
class ChannelStatus:
    """One channel: `label` with a `tone`, and `detail` for those who have to act on it.

    `where_to` tells of a text that did not go to the number it was meant for.
    """

    channel: str
    name: str
    label: str
    tone: str
    detail: str
    delivery: Delivery
    rerouted_to: str = ""


def channel_statuses(communication: Communication, also_texts: bool = False) -> list[ChannelStatus]:
    """Email, then the text while anything of SMS shows, or where it is asked for."""
    shown = also_texts or is_sms_visible()
    return [channel_status(delivery) for delivery in communication.deliveries if delivery.channel == "email" or shown]


def channel_statuses_for_owner(communication: Communication) -> list[ChannelStatus]:
    """As its person may read them: anybody can put a stranger's number on their account, so what that phone said, and
    that another account gets its texts, is told to accounts only that have consented at every number of theirs."""
    found = channel_statuses(communication)
    if has_consented_for_all_numbers(communication.account_id):
        return found
    unsaid = f"{Reason.NOT_OPTED_IN.label}."
    return [replace(status, detail=unsaid) if _concerns_other_account(status.delivery) else status for status in found]


def build_timeline(communication: Communication) -> list[tuple[ChannelStatus, list[TimelineEntry]]]:
    return [(status, timeline_entries(status.delivery)) for status in channel_statuses(communication)]


def is_final(communication: Communication) -> bool:
    """Nothing more is to be expected, so that a page can stop looking."""
    found = [displayed_state(delivery.state, delivery.due_at_ms) for delivery in communication.deliveries]
    return all(STATES[state].final or state == DeliveryState.NO_RECEIPT for state in found)


def channel_status(delivery: Delivery) -> ChannelStatus:
    return ChannelStatus(
        delivery.channel, CHANNEL_LABELS[delivery.channel], *describe_state(delivery), delivery, redirect_note(delivery)
    )


def _concerns_other_account(delivery: Delivery) -> bool:
    """Where no number of the account gets texts, so that the reason is one that holds for a number whoever has it."""
    return not delivery.address and delivery.reason in _OTHER_ACCOUNT_REASONS

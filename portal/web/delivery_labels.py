"""Labels of a communication's deliveries on pages."""

from dataclasses import dataclass, replace

from portal.consent.tables.ledger import has_consented_for_all_numbers
from portal.core.rules.delivery_status import STATES, DeliveryState, displayed_state
from portal.core.rules.routing import Reason, TextKind
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.messages.tables.communications import Communication, Delivery
from portal.messages.timeline import TimelineEntry, describe_state, redirect_note, timeline_entries
from portal.web.layout import is_sms_visible

CHANNEL_LABELS = {"email": N_("Email"), "sms": N_("Text")}
_OTHER_ACCOUNT_REASONS = (Reason.STOPPED, Reason.OTHER_ACCOUNT_RECEIVES)


@dataclass(frozen=True)
class ChannelStatus:
    channel: str
    name: str
    label: str
    tone: str
    detail: str
    """For whoever has to act on it."""
    delivery: Delivery
    rerouted_to: str = ""
    """A sentence about a message that did not go to the address it was meant for."""


def channel_statuses(communication: Communication, also_texts: bool = False) -> list[ChannelStatus]:
    """The email, then the text if SMS is visible or `also_texts` is set."""
    with_texts = also_texts or is_sms_visible()
    return [channel_status(row) for row in communication.deliveries if row.channel == "email" or with_texts]


def channel_statuses_for_owner(communication: Communication) -> list[ChannelStatus]:
    """As the recipient may see them.

    Anybody can add a stranger's phone number to their account. So only accounts that have consented for every number
    of theirs learn that the phone sent STOP, or that another account gets its texts.
    """
    statuses = channel_statuses(communication)
    if has_consented_for_all_numbers(communication.account_id):
        return statuses
    neutral = f"{_(Reason.NOT_OPTED_IN.label)}."
    return [
        replace(status, detail=neutral) if _reveals_other_account(status.delivery) else status for status in statuses
    ]


def reason_for_owner(delivery: Delivery, has_consented: bool) -> str:
    """The reason that the recipient may learn. `has_consented`: for every number of the account."""
    return delivery.reason if has_consented or not _reveals_other_account(delivery) else Reason.NOT_OPTED_IN


def build_timeline(communication: Communication) -> list[tuple[ChannelStatus, list[TimelineEntry]]]:
    return [(status, timeline_entries(status.delivery)) for status in channel_statuses(communication)]


def is_final(communication: Communication) -> bool:
    """Whether nothing more is expected, so that pages stop polling."""
    states = [displayed_state(delivery.state, delivery.due_at_ms) for delivery in communication.deliveries]
    return all(STATES[state].final or state == DeliveryState.NO_RECEIPT for state in states)


def channel_status(delivery: Delivery) -> ChannelStatus:
    return ChannelStatus(
        delivery.channel,
        _(CHANNEL_LABELS[delivery.channel]),
        *describe_state(delivery),
        delivery,
        redirect_note(delivery),
    )


def _reveals_other_account(delivery: Delivery) -> bool:
    """Whether the reason concerns a number itself, whichever account has it. An answer has the phone's address."""
    is_about_phone = not delivery.address or delivery.communication.kind == TextKind.ANSWER
    return is_about_phone and delivery.reason in _OTHER_ACCOUNT_REASONS

"""The one table of delivery states: what each is called, how it looks, and what may follow it.

States only move forward: an event moves a delivery to a state of a higher rank, and out of a final state nothing moves.
A conflicting event is stored and changes nothing (docs/reliability.md#states-only-move-forward).
"""

from dataclasses import dataclass
from enum import StrEnum


class DeliveryState(StrEnum):
    """The value is what `delivery.state` holds. `NO_RECEIPT` is shown, never stored."""

    READY = "ready"
    DEFERRED = "deferred"
    PAUSED = "paused"
    SENDING = "sending"
    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    SENT = "sent"
    NO_RECEIPT = "no_receipt"
    HANDED_OFF = "handed_off"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    REJECTED = "rejected"
    OPTED_OUT = "opted_out"
    SKIPPED = "skipped"
    CANCELED = "canceled"
    SIMULATED = "simulated"
    SIMULATED_REJECTED = "simulated_rejected"
    EXPIRED = "expired"


class StateGroup(StrEnum):
    """What progress counts add up, in the order in which a message passes through them."""

    WAITING = "waiting"
    SENDING = "sending"
    ACCEPTED = "accepted"
    NO_RECEIPT = "no_receipt"
    DELIVERED = "delivered"
    FAILED = "failed"
    SIMULATED = "simulated"
    CANCELED = "canceled"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class StateInfo:
    """`tone` (ok, wait, bad, off) colours a label that always has words as well."""

    name: DeliveryState
    label: str
    tone: str
    rank: int
    group: StateGroup
    final: bool = False


_STATES = (
    StateInfo(DeliveryState.READY, "Waiting to be sent", "wait", 0, StateGroup.WAITING),
    StateInfo(DeliveryState.DEFERRED, "Waiting for the end of quiet hours", "wait", 0, StateGroup.WAITING),
    StateInfo(DeliveryState.PAUSED, "Paused", "wait", 0, StateGroup.WAITING),
    StateInfo(DeliveryState.SENDING, "Being sent", "wait", 1, StateGroup.SENDING),
    StateInfo(DeliveryState.UNKNOWN, "Sent, answer not heard", "wait", 2, StateGroup.SENDING),
    StateInfo(DeliveryState.ACCEPTED, "Accepted for delivery", "wait", 3, StateGroup.ACCEPTED),
    StateInfo(DeliveryState.SENT, "Sent to the carrier", "wait", 4, StateGroup.ACCEPTED),
    StateInfo(DeliveryState.NO_RECEIPT, "Final status not reported", "off", 5, StateGroup.NO_RECEIPT),
    StateInfo(DeliveryState.HANDED_OFF, "Handed to the mail server", "ok", 9, StateGroup.DELIVERED, final=True),
    StateInfo(DeliveryState.DELIVERED, "Delivered", "ok", 9, StateGroup.DELIVERED, final=True),
    StateInfo(DeliveryState.UNDELIVERED, "Not delivered", "bad", 9, StateGroup.FAILED, final=True),
    StateInfo(DeliveryState.FAILED, "Not delivered", "bad", 9, StateGroup.FAILED, final=True),
    StateInfo(DeliveryState.REJECTED, "Refused", "bad", 9, StateGroup.FAILED, final=True),
    StateInfo(DeliveryState.OPTED_OUT, "Stopped by the recipient", "off", 9, StateGroup.SKIPPED, final=True),
    StateInfo(DeliveryState.SKIPPED, "Not texted", "off", 9, StateGroup.SKIPPED, final=True),
    StateInfo(DeliveryState.CANCELED, "Cancelled", "off", 9, StateGroup.CANCELED, final=True),
    StateInfo(DeliveryState.SIMULATED, "Simulated: accepted", "off", 9, StateGroup.SIMULATED, final=True),
    StateInfo(DeliveryState.SIMULATED_REJECTED, "Simulated: refused", "off", 9, StateGroup.SIMULATED, final=True),
    StateInfo(DeliveryState.EXPIRED, "Given up", "bad", 9, StateGroup.FAILED, final=True),
)
STATES: dict[str, StateInfo] = {state.name: state for state in _STATES}
GROUPS: dict[str, str] = {
    StateGroup.WAITING: "Waiting",
    StateGroup.SENDING: "Being sent",
    StateGroup.ACCEPTED: "On their way",
    StateGroup.NO_RECEIPT: "Final status not reported",
    StateGroup.DELIVERED: "Delivered",
    StateGroup.FAILED: "Not delivered",
    StateGroup.SIMULATED: "Simulated",
    StateGroup.CANCELED: "Cancelled",
    StateGroup.SKIPPED: "Not texted",
}
"""Progress counts in the order in which a message passes through them."""

_EMAIL_GROUPS = {**GROUPS, StateGroup.DELIVERED: "Handed to the mail server", StateGroup.SKIPPED: "Not sent"}


def group_labels(channel: str) -> dict[str, str]:
    """The words of the groups on a channel: of mail nobody hears more than that a server took it."""
    return _EMAIL_GROUPS if channel == "email" else GROUPS


UNSENT = tuple(state.name for state in _STATES if state.rank < STATES[DeliveryState.ACCEPTED].rank)
"""States in which the message may still have to leave."""

WAITING = tuple(state.name for state in _STATES if state.group is StateGroup.WAITING)
"""States in which nothing of the message is under way: it can be paused, cancelled, or looked for elsewhere."""

OPEN = tuple(state.name for state in _STATES if not state.final)
"""States in which something is still expected to happen."""

AWAITING_RECEIPT = (DeliveryState.ACCEPTED, DeliveryState.SENT)
LAST_RECEIPT_CHECK_MS = 86_400_000
"""How long after it was sent a text is asked after for the last time."""
NO_FURTHER_CHECK_MS = 2**53
"""The next look once the last one has passed: never (docs/reliability.md#missing-receipts)."""


def displayed_state(state: str, next_check_ms: int) -> str:
    """The state to show. “unreported” is never stored: it is what has left and is asked after no more.

    A receipt that comes late moves the stored state on, and with it this.
    """
    return DeliveryState.NO_RECEIPT if state in AWAITING_RECEIPT and next_check_ms >= NO_FURTHER_CHECK_MS else state


_STATE_BY_TWILIO_STATUS = {
    "accepted": DeliveryState.ACCEPTED,
    "scheduled": DeliveryState.ACCEPTED,
    "queued": DeliveryState.ACCEPTED,
    "sending": DeliveryState.ACCEPTED,
    "sent": DeliveryState.SENT,
    "delivered": DeliveryState.DELIVERED,
    "read": DeliveryState.DELIVERED,
    "undelivered": DeliveryState.UNDELIVERED,
    "failed": DeliveryState.FAILED,
    "canceled": DeliveryState.CANCELED,
}
"""Our state for each of Twilio's message statuses (docs/twilio.md#statuses)."""


def state_for_receipt(status: str, error_code: str) -> DeliveryState | None:
    """Our state for a status callback; None for a status that says nothing about delivery."""
    if error_code == "21610" and status in ("failed", "undelivered"):
        return DeliveryState.OPTED_OUT
    return _STATE_BY_TWILIO_STATUS.get(status)


def can_transition(current: str, to: str) -> bool:
    now = STATES[current]
    return not now.final and STATES[to].rank > now.rank


def states_before(to: str) -> tuple[str, ...]:
    """The states from which `to` may be entered: the WHERE of a guarded update."""
    return tuple(name for name in STATES if can_transition(name, to))

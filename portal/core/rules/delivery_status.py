"""The delivery states: label, tone and permitted transitions.

States only move forward: an event moves a delivery to a state of higher rank, and a final state never changes. A
conflicting event is stored and changes nothing (docs/reliability.md#states-only-move-forward).
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
    """The groups that progress counts show, in the order in which a message passes through them."""

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
    """`tone` (ok, wait, bad, off) is the colour of the label."""

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
    StateInfo(DeliveryState.UNKNOWN, "Sent, outcome not known yet", "wait", 2, StateGroup.SENDING),
    StateInfo(DeliveryState.ACCEPTED, "Accepted for delivery", "wait", 3, StateGroup.ACCEPTED),
    StateInfo(DeliveryState.SENT, "Sent to the carrier", "wait", 4, StateGroup.ACCEPTED),
    StateInfo(DeliveryState.NO_RECEIPT, "Final status not reported", "off", 5, StateGroup.NO_RECEIPT),
    StateInfo(DeliveryState.HANDED_OFF, "Handed to the mail server", "ok", 9, StateGroup.DELIVERED, final=True),
    StateInfo(DeliveryState.DELIVERED, "Delivered", "ok", 9, StateGroup.DELIVERED, final=True),
    StateInfo(DeliveryState.UNDELIVERED, "Not delivered", "bad", 9, StateGroup.FAILED, final=True),
    StateInfo(DeliveryState.FAILED, "Not delivered", "bad", 9, StateGroup.FAILED, final=True),
    StateInfo(DeliveryState.REJECTED, "Rejected", "bad", 9, StateGroup.FAILED, final=True),
    StateInfo(DeliveryState.OPTED_OUT, "Opted out", "off", 9, StateGroup.SKIPPED, final=True),
    StateInfo(DeliveryState.SKIPPED, "Not texted", "off", 9, StateGroup.SKIPPED, final=True),
    StateInfo(DeliveryState.CANCELED, "Cancelled", "off", 9, StateGroup.CANCELED, final=True),
    StateInfo(DeliveryState.SIMULATED, "Simulated: accepted", "off", 9, StateGroup.SIMULATED, final=True),
    StateInfo(DeliveryState.SIMULATED_REJECTED, "Simulated: rejected", "off", 9, StateGroup.SIMULATED, final=True),
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

_EMAIL_GROUPS = {**GROUPS, StateGroup.DELIVERED: "Handed to the mail server", StateGroup.SKIPPED: "Not sent"}


def group_labels(channel: str) -> dict[str, str]:
    """Labels of the groups on a channel. An email is only known to be handed to the mail server."""
    return _EMAIL_GROUPS if channel == "email" else GROUPS


UNSENT = tuple(state.name for state in _STATES if state.rank < STATES[DeliveryState.ACCEPTED].rank)
"""States in which the message may still have to be sent."""

WAITING = tuple(state.name for state in _STATES if state.group is StateGroup.WAITING)
"""States in which the message can be paused or cancelled, because no attempt is in progress."""

OPEN = tuple(state.name for state in _STATES if not state.final)
"""States that can still change."""

AWAITING_RECEIPT = (DeliveryState.ACCEPTED, DeliveryState.SENT)
LAST_RECEIPT_CHECK_MS = 86_400_000
"""When after sending a text Twilio is asked for its status for the last time."""
NO_FURTHER_CHECK_MS = 2**53
"""The time of the next check after the last one: never (docs/reliability.md#missing-receipts)."""


def displayed_state(state: str, next_check_ms: int) -> str:
    """The state to show: `NO_RECEIPT` for a sent text whose status is no longer checked.

    `NO_RECEIPT` is never stored, so a late receipt still moves the state forward.
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
"""Twilio's message statuses (docs/twilio.md#statuses)."""


def state_for_receipt(status: str, error_code: str) -> DeliveryState | None:
    """The state for a status callback; None if the status says nothing about delivery."""
    if error_code == "21610" and status in ("failed", "undelivered"):
        return DeliveryState.OPTED_OUT
    return _STATE_BY_TWILIO_STATUS.get(status)


def can_transition(current: str, to: str) -> bool:
    """Whether evidence that the state is now `to` moves a delivery: only forward, and never out of a final state."""
    state = STATES[current]
    return not state.final and STATES[to].rank > state.rank


def states_before(to: str) -> tuple[DeliveryState, ...]:
    """The states from which evidence may move a delivery to `to`."""
    return tuple(state.name for state in _STATES if can_transition(state.name, to))

"""The delivery states: label, tone and permitted transitions.

States only move forward: an event moves a delivery to a state of higher rank, and a final state never changes. A
conflicting event is stored and changes nothing (docs/reliability.md#states-only-move-forward).
"""

from enum import StrEnum

from portal.core.translation import N_


class StateGroup(StrEnum):
    """The groups that progress counts show, in the order in which a message passes through them, with their labels."""

    label: str

    def __new__(cls, value: str, label: str) -> "StateGroup":
        group = str.__new__(cls, value)
        group._value_, group.label = value, label
        return group

    WAITING = "waiting", N_("Waiting")
    SENDING = "sending", N_("Being sent")
    ACCEPTED = "accepted", N_("On their way")
    NO_RECEIPT = "no_receipt", N_("Final status not reported")
    DELIVERED = "delivered", N_("Delivered")
    FAILED = "failed", N_("Not delivered")
    SIMULATED = "simulated", N_("Simulated")
    CANCELED = "canceled", N_("Canceled")
    SKIPPED = "skipped", N_("Email only")


class DeliveryState(StrEnum):
    """The value is what `delivery.state` holds. `NO_RECEIPT` is shown, never stored.

    `tone` (ok, wait, bad, off) is the colour of the label. States of the highest rank are final.
    """

    label: str
    tone: str
    rank: int
    group: StateGroup

    def __new__(cls, value: str, label: str, tone: str, rank: int, group: StateGroup) -> "DeliveryState":
        state = str.__new__(cls, value)
        state._value_, state.label, state.tone, state.rank, state.group = value, label, tone, rank, group
        return state

    READY = "ready", N_("Waiting to be sent"), "wait", 0, StateGroup.WAITING
    DEFERRED = "deferred", N_("Waiting for the end of quiet hours"), "wait", 0, StateGroup.WAITING
    PAUSED = "paused", N_("Paused"), "wait", 0, StateGroup.WAITING
    SENDING = "sending", N_("Being sent"), "wait", 1, StateGroup.SENDING
    UNKNOWN = "unknown", N_("Outcome not known yet"), "wait", 2, StateGroup.SENDING
    ACCEPTED = "accepted", N_("Accepted for delivery"), "wait", 3, StateGroup.ACCEPTED
    SENT = "sent", N_("Sent to the carrier"), "wait", 4, StateGroup.ACCEPTED
    NO_RECEIPT = "no_receipt", N_("Final status not reported"), "off", 5, StateGroup.NO_RECEIPT
    HANDED_OFF = "handed_off", N_("Sent"), "ok", 9, StateGroup.DELIVERED
    DELIVERED = "delivered", N_("Delivered"), "ok", 9, StateGroup.DELIVERED
    UNDELIVERED = "undelivered", N_("Not delivered"), "bad", 9, StateGroup.FAILED
    FAILED = "failed", N_("Not delivered"), "bad", 9, StateGroup.FAILED
    REJECTED = "rejected", N_("Rejected"), "bad", 9, StateGroup.FAILED
    OPTED_OUT = "opted_out", N_("Opted out"), "off", 9, StateGroup.SKIPPED
    SKIPPED = "skipped", N_("Email only"), "off", 9, StateGroup.SKIPPED
    CANCELED = "canceled", N_("Canceled"), "off", 9, StateGroup.CANCELED
    SIMULATED = "simulated", N_("Simulated: accepted"), "off", 9, StateGroup.SIMULATED
    SIMULATED_REJECTED = "simulated_rejected", N_("Simulated: rejected"), "off", 9, StateGroup.SIMULATED
    EXPIRED = "expired", N_("Sending stopped"), "bad", 9, StateGroup.FAILED

    @property
    def final(self) -> bool:
        return self.rank == 9


STATES: dict[str, DeliveryState] = {state.value: state for state in DeliveryState}
GROUPS: dict[str, str] = {group: group.label for group in StateGroup}
_EMAIL_GROUPS = {**GROUPS, StateGroup.DELIVERED: N_("Sent"), StateGroup.SKIPPED: N_("Not sent")}


def group_labels(channel: str) -> dict[str, str]:
    """Labels of the groups on a channel. An email is only known to be handed to the mail server."""
    return _EMAIL_GROUPS if channel == "email" else GROUPS


UNSENT = tuple(state for state in DeliveryState if state.rank < DeliveryState.ACCEPTED.rank)
"""States in which the message may still have to be sent."""

WAITING = tuple(state for state in DeliveryState if state.group is StateGroup.WAITING)
"""States in which the message can be paused or cancelled, because no attempt is in progress."""

OPEN = tuple(state for state in DeliveryState if not state.final)
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
    return tuple(state for state in DeliveryState if can_transition(state, to))

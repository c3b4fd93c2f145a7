"""The one table of delivery states: what each is called, how it looks, and what may follow it.

States only move forward: an event moves a delivery to a state of a higher rank, and out of a final state nothing moves.
A conflicting event is stored and changes nothing (docs/reliability.md#states-only-move-forward).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class DeliveryState:
    """`group` is what progress counts add up, one of `GROUPS`.

    `tone` (ok, wait, bad, off) colours a label that always has words as well.
    """

    name: str
    label: str
    tone: str
    rank: int
    group: str
    final: bool = False


_STATES = (
    DeliveryState("ready", "Waiting to be sent", "wait", 0, "waiting"),
    DeliveryState("deferred", "Waiting for the end of quiet hours", "wait", 0, "waiting"),
    DeliveryState("paused", "Paused", "wait", 0, "waiting"),
    DeliveryState("sending", "Being sent", "wait", 1, "sending"),
    DeliveryState("unknown", "Sent, answer not heard", "wait", 2, "sending"),
    DeliveryState("accepted", "Accepted for delivery", "wait", 3, "accepted"),
    DeliveryState("sent", "Sent to the carrier", "wait", 4, "accepted"),
    DeliveryState("no_receipt", "Final status not reported", "off", 5, "no_receipt"),
    DeliveryState("handed_off", "Handed to the mail server", "ok", 9, "delivered", final=True),
    DeliveryState("delivered", "Delivered", "ok", 9, "delivered", final=True),
    DeliveryState("undelivered", "Not delivered", "bad", 9, "failed", final=True),
    DeliveryState("failed", "Not delivered", "bad", 9, "failed", final=True),
    DeliveryState("rejected", "Refused", "bad", 9, "failed", final=True),
    DeliveryState("opted_out", "Stopped by the recipient", "off", 9, "skipped", final=True),
    DeliveryState("skipped", "Not texted", "off", 9, "skipped", final=True),
    DeliveryState("canceled", "Cancelled", "off", 9, "canceled", final=True),
    DeliveryState("simulated", "Simulated: accepted", "off", 9, "simulated", final=True),
    DeliveryState("simulated_rejected", "Simulated: refused", "off", 9, "simulated", final=True),
    DeliveryState("expired", "Given up", "bad", 9, "failed", final=True),
)
STATES: dict[str, DeliveryState] = {state.name: state for state in _STATES}
GROUPS: dict[str, str] = {
    "waiting": "Waiting",
    "sending": "Being sent",
    "accepted": "On their way",
    "no_receipt": "Final status not reported",
    "delivered": "Delivered",
    "failed": "Not delivered",
    "simulated": "Simulated",
    "canceled": "Cancelled",
    "skipped": "Not texted",
}
"""Progress counts in the order in which a message passes through them."""

_EMAIL_GROUPS = {**GROUPS, "delivered": "Handed to the mail server", "skipped": "Not sent"}


def group_labels(channel: str) -> dict[str, str]:
    """The words of the groups on a channel: of mail nobody hears more than that a server took it."""
    return _EMAIL_GROUPS if channel == "email" else GROUPS


UNSENT = tuple(state.name for state in _STATES if state.rank < STATES["accepted"].rank)
"""States in which the message may still have to leave."""

WAITING = tuple(state.name for state in _STATES if state.group == "waiting")
"""States in which nothing of the message is under way: it can be paused, cancelled, or looked for elsewhere."""

OPEN = tuple(state.name for state in _STATES if not state.final)
"""States in which something is still expected to happen."""

AWAITING_RECEIPT = ("accepted", "sent")
LAST_RECEIPT_CHECK_MS = 86_400_000
"""How long after it was sent a text is asked after for the last time."""
NO_FURTHER_CHECK_MS = 2**53
"""The next look once the last one has passed: never (docs/reliability.md#missing-receipts)."""


def displayed_state(state: str, next_check_ms: int) -> str:
    """The state to show. “unreported” is never stored: it is what has left and is asked after no more.

    A receipt that comes late moves the stored state on, and with it this.
    """
    return "no_receipt" if state in AWAITING_RECEIPT and next_check_ms >= NO_FURTHER_CHECK_MS else state


_STATE_BY_TWILIO_STATUS = {
    "accepted": "accepted",
    "scheduled": "accepted",
    "queued": "accepted",
    "sending": "accepted",
    "sent": "sent",
    "delivered": "delivered",
    "read": "delivered",
    "undelivered": "undelivered",
    "failed": "failed",
    "canceled": "canceled",
}
"""Our state for each of Twilio's message statuses (docs/twilio.md#statuses)."""


def state_for_receipt(status: str, error_code: str) -> str | None:
    """Our state for a status callback; None for a status that says nothing about delivery."""
    if error_code == "21610" and status in ("failed", "undelivered"):
        return "opted_out"
    return _STATE_BY_TWILIO_STATUS.get(status)


def can_transition(current: str, to: str) -> bool:
    now = STATES[current]
    return not now.final and STATES[to].rank > now.rank


def states_before(to: str) -> tuple[str, ...]:
    """The states from which `to` may be entered: the WHERE of a guarded update."""
    return tuple(name for name in STATES if can_transition(name, to))

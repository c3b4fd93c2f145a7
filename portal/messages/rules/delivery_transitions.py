"""The state machine of a delivery: which event moves it from which states to which, and which modules may cause it.

`messages.tables.transitions` builds every statement that changes `delivery.state` from this table, and
docs/architecture.md draws it. Nothing leaves a final state (docs/reliability.md#states-only-move-forward).
"""

from dataclasses import dataclass
from enum import StrEnum

from portal.core.rules.delivery_status import WAITING, DeliveryState, states_before

_READY, _DEFERRED, _PAUSED = DeliveryState.READY, DeliveryState.DEFERRED, DeliveryState.PAUSED
_SENDING, _UNKNOWN, _ACCEPTED = DeliveryState.SENDING, DeliveryState.UNKNOWN, DeliveryState.ACCEPTED
_OPTED_OUT, _CANCELED = DeliveryState.OPTED_OUT, DeliveryState.CANCELED


class DeliveryEvent(StrEnum):
    CREATE = "create"
    CLAIM = "claim"
    SKIP = "skip"
    DEFER = "defer"
    FOLLOW_SEND = "follow send"
    """Its send was paused, resumed or cancelled, the quiet hours of its time zone ended, or its recipient was
    erased."""
    RELEASE = "release"
    """It was claimed but not sent."""
    COMPLETE = "complete"
    """The outcome of its attempt is known: by a response, a search at Twilio, or an administrator's decision."""
    LEASE_EXPIRES = "lease expires"
    REPORT = "report"
    """Twilio accepted it or reported a status."""
    QUARANTINE = "quarantine"
    """The database was restored from a copy, so the message may have been sent already."""


@dataclass(frozen=True)
class Transition:
    """No `sources` means that the delivery is new. `modules` are named below `portal`."""

    event: DeliveryEvent
    sources: tuple[DeliveryState, ...]
    targets: tuple[DeliveryState, ...]
    modules: tuple[str, ...]


_CLAIMS = ("delivery.email_claim", "delivery.sms_claim")
_SEND_STATE = ("delivery.claim_policies", "sends.tables.state_sync")
_CANCELS = (*_SEND_STATE, "records.tables.account_erasure")
_RESULTS = ("delivery.email_worker", "delivery.reconciliation", "delivery.sms_failures")
_REPORTED = (
    _ACCEPTED,
    DeliveryState.SENT,
    DeliveryState.DELIVERED,
    DeliveryState.UNDELIVERED,
    DeliveryState.FAILED,
    _OPTED_OUT,
    _CANCELED,
    DeliveryState.SIMULATED,
)
_COMPLETED = (
    _READY,
    _UNKNOWN,
    _ACCEPTED,
    DeliveryState.HANDED_OFF,
    DeliveryState.REJECTED,
    _OPTED_OUT,
    DeliveryState.SIMULATED_REJECTED,
    DeliveryState.EXPIRED,
)
TRANSITIONS = (
    Transition(
        DeliveryEvent.CREATE,
        (),
        (*WAITING, DeliveryState.SKIPPED, DeliveryState.REJECTED),
        ("messages.tables.communications", "sends.fan_out_rows"),
    ),
    Transition(DeliveryEvent.CLAIM, (_READY,), (_SENDING,), _CLAIMS),
    Transition(
        DeliveryEvent.SKIP, WAITING, (DeliveryState.SKIPPED,), ("delivery.claim_policies", "people.deactivation")
    ),
    Transition(DeliveryEvent.DEFER, (_READY,), (_DEFERRED,), ("delivery.claim_policies",)),
    Transition(DeliveryEvent.FOLLOW_SEND, (_READY, _DEFERRED), (_PAUSED,), _SEND_STATE),
    Transition(DeliveryEvent.FOLLOW_SEND, (_READY, _DEFERRED, _PAUSED), (_CANCELED,), _CANCELS),
    Transition(DeliveryEvent.FOLLOW_SEND, (_PAUSED, _DEFERRED), (_READY,), _SEND_STATE),
    Transition(
        DeliveryEvent.RELEASE, (_SENDING, _UNKNOWN), (_READY,), ("delivery.email_worker", "delivery.sms_results")
    ),
    Transition(DeliveryEvent.COMPLETE, (_SENDING, _UNKNOWN), _COMPLETED, (*_RESULTS, "delivery.unresolved_deliveries")),
    Transition(DeliveryEvent.LEASE_EXPIRES, (_SENDING,), (_UNKNOWN,), ("delivery.maintenance",)),
    *(
        Transition(
            DeliveryEvent.REPORT,
            tuple(state for state in states_before(target) if state is not DeliveryState.NO_RECEIPT),
            (target,),
            ("delivery.receipts", "delivery.sms_results"),
        )
        for target in _REPORTED
    ),
    Transition(DeliveryEvent.QUARANTINE, WAITING, (_UNKNOWN,), ("delivery.tables.quarantine",)),
)


def source_states(event: DeliveryEvent, target: str) -> tuple[DeliveryState, ...]:
    """The states that the event may move to `target`. Raises `ValueError` if there is no such transition."""
    for transition in TRANSITIONS:
        if transition.event is event and target in transition.targets:
            return transition.sources
    raise ValueError(f"No delivery becomes {target} by the event {event}.")

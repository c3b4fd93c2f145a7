"""Claim, complete and reschedule deliveries. Every change of state is guarded by the state it starts from."""

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import Table, bindparam, insert, select, update

from portal.accounts.tables.accounts import Account
from portal.core.extensions import db
from portal.core.rules.delivery_status import DeliveryState, states_before
from portal.core.rules.lanes import Lane
from portal.core.rules.routing import Reason, TextKind
from portal.core.statements import updated_count
from portal.messages.rules.attempt_outcome import AttemptOutcome
from portal.messages.tables.communications import Attempt, Communication, Delivery
from portal.messages.tables.unsent_messages import LANES, READY

DELIVERY_CHANNELS = ("email", "sms")
_DELIVERY = cast(Table, Delivery.__table__)
_ATTEMPT = cast(Table, Attempt.__table__)


def duplicates_in_flight(phones: Sequence[str], account_sid: str) -> set[tuple[str, str]]:
    """(phone, body) of the account’s texts to these phones whose outcome is not known yet."""
    query = (
        select(Attempt.destination, Delivery.body)
        .join(Delivery, Delivery.attempt_id == Attempt.id)
        .where(Attempt.destination.in_(phones), Attempt.account_sid == account_sid)
        .where(Delivery.state.in_((DeliveryState.SENDING, DeliveryState.UNKNOWN)))
    )
    return set(db.session.execute(query))


def apply_send_state(delivery_ids: Sequence[int], to: str, now_ms: int) -> None:
    """Pause or cancel claimed messages whose send changed after they were queued. Inside a transaction."""
    query = update(Delivery).where(Delivery.id.in_(delivery_ids), Delivery.state == DeliveryState.READY)
    updated_count(query.values(state=to, state_changed_at_ms=now_ms))


def start_attempts(attempts: Sequence[dict[str, Any]], now_ms: int) -> None:
    """Insert the attempts and lease their deliveries, before anything is sent."""
    if not attempts:
        return
    db.session.execute(insert(Attempt), list(attempts))
    claim = (
        update(_DELIVERY)
        .where(_DELIVERY.c.id == bindparam("b_delivery"))
        .values(state=DeliveryState.SENDING, attempt_id=bindparam("b_attempt"), lease_until_ms=bindparam("b_lease"))
        .values(attempt_count=_DELIVERY.c.attempt_count + 1, state_changed_at_ms=now_ms, reason="")
    )
    names = {"b_delivery": "delivery_id", "b_attempt": "id", "b_lease": "lease_until_ms"}
    rows = [{parameter: attempt[name] for parameter, name in names.items()} for attempt in attempts]
    db.session.connection().execute(claim, rows)


def finish_attempt(attempt_id: str, outcome: str, now_ms: int, **details: Any) -> None:
    """Record the outcome of an attempt. Evidence that it was accepted is never overwritten.

    Write the delivery’s row first: receipts lock the two rows in that order, so there is no deadlock.
    """
    query = update(Attempt).where(Attempt.id == attempt_id)
    if outcome != AttemptOutcome.ACCEPTED:
        query = query.where(Attempt.provider_id.is_(None))
    updated_count(query.values(outcome=outcome, finished_at_ms=now_ms, **details))


def complete_attempt(delivery_id: int, attempt_id: str, to: str, now_ms: int, **changes: Any) -> bool:
    """Move a delivery that this attempt still owns. False if something else has moved it meanwhile."""
    query = update(Delivery).where(Delivery.id == delivery_id, Delivery.attempt_id == attempt_id)
    query = query.where(Delivery.state.in_((DeliveryState.SENDING, DeliveryState.UNKNOWN)))
    return updated_count(query.values(state=to, state_changed_at_ms=now_ms, lease_until_ms=None, **changes)) > 0


def advance_delivery(delivery_id: int, to: str, now_ms: int, **changes: Any) -> bool:
    """Move a delivery forward on evidence from the provider. False if its state is as far already, or final."""
    query = update(Delivery).where(Delivery.id == delivery_id, Delivery.state.in_(states_before(to)))
    return updated_count(query.values(state=to, state_changed_at_ms=now_ms, lease_until_ms=None, **changes)) > 0


def postpone(delivery_ids: Sequence[int], until_ms: int) -> None:
    query = update(Delivery).where(Delivery.id.in_(delivery_ids), Delivery.state == DeliveryState.READY)
    updated_count(query.values(due_at_ms=until_ms))


def defer(zone: str, until_ms: int, limit: int, now_ms: int) -> None:
    """Move a time zone’s next bulk texts to the end of its quiet hours, so that claims need not skip them again."""
    due = (
        select(Delivery.id)
        .join(Communication, Communication.id == Delivery.communication_id)
        .join(Account, Account.id == Communication.account_id)
        .where(Delivery.channel == "sms", READY, Delivery.lane == Lane.BULK, Delivery.due_at_ms <= now_ms)
        .where(Account.timezone == zone, Communication.kind == TextKind.NOTIFICATION)
        .order_by(Delivery.queue_position, Delivery.id)
        .limit(limit)
        .with_for_update(skip_locked=True, of=Delivery)
    )
    ids = list(db.session.scalars(due))
    query = update(Delivery).where(Delivery.id.in_(ids), Delivery.state == DeliveryState.READY)
    deferred = {"state": DeliveryState.DEFERRED, "reason": Reason.QUIET_HOURS, "due_at_ms": until_ms}
    updated_count(query.values(**deferred, state_changed_at_ms=now_ms))


def skip_delivery(delivery_id: int, reason: str, now_ms: int) -> None:
    query = update(Delivery).where(Delivery.id == delivery_id, Delivery.state == DeliveryState.READY)
    db.session.execute(query.values(state=DeliveryState.SKIPPED, reason=reason, state_changed_at_ms=now_ms))


def expire_leases(now_ms: int) -> None:
    """Messages past their lease may have been sent: they become unknown until evidence resolves them."""
    is_sending = (Delivery.channel.in_(DELIVERY_CHANNELS), Delivery.state == DeliveryState.SENDING)
    changes = {"state": DeliveryState.UNKNOWN, "state_changed_at_ms": now_ms, "due_at_ms": now_ms}
    query = update(Delivery).where(*is_sending, Delivery.lease_until_ms < now_ms)
    updated_count(query.values(**changes, lease_until_ms=None))


def retry_emails_now(now_ms: int) -> None:
    """Retry waiting emails at once when the mail server is back. Inside a transaction."""
    waiting = (Delivery.channel == "email", READY, Delivery.lane.in_(LANES))
    query = update(Delivery).where(*waiting, Delivery.due_at_ms > now_ms)
    db.session.execute(query.values(due_at_ms=now_ms))

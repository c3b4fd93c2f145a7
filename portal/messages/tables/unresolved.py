"""Deliveries that evidence must resolve: unknown outcomes and missing receipts."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import joinedload

from portal.core.extensions import db
from portal.core.rules.delivery_status import AWAITING_RECEIPT, DeliveryState
from portal.core.rules.routing import SIMULATED_MODES
from portal.messages.rules.attempt_outcome import AttemptOutcome
from portal.messages.tables.communications import Attempt, Communication, Delivery, Receipt
from portal.messages.tables.unsent_messages import LANES


def due_unknown_deliveries(channel: str, due_ms: int, limit: int) -> list[Delivery]:
    query = select(Delivery).where(*_unknown_on(channel), Delivery.due_at_ms <= due_ms)
    return list(db.session.scalars(query.order_by(Delivery.due_at_ms).limit(limit)))


def _unknown_on(channel: str) -> tuple[ColumnElement[bool], ...]:
    return (Delivery.channel == channel, Delivery.state == DeliveryState.UNKNOWN, Delivery.lane.in_(LANES))


def deliveries_awaiting_receipt(due_ms: int, limit: int) -> list[Delivery]:
    """Accepted texts whose next status check is due."""
    accepted = (Delivery.channel == "sms", Delivery.state.in_(AWAITING_RECEIPT), Delivery.lane.in_(LANES))
    query = select(Delivery).where(*accepted, Delivery.due_at_ms <= due_ms, Delivery.provider_id.is_not(None))
    return list(db.session.scalars(query.order_by(Delivery.due_at_ms).limit(limit)))


def current_attempt(delivery: Delivery) -> Attempt:
    """The attempt whose outcome is unknown."""
    return db.session.get_one(Attempt, delivery.attempt_id)


def is_message_claimed(provider_id: str) -> bool:
    """Whether an attempt already has this message."""
    return db.session.scalar(select(Attempt.id).where(Attempt.provider_id == provider_id).limit(1)) is not None


def is_attempt_accepted(attempt_id: str) -> bool:
    """Whether the attempt is known to have been accepted."""
    query = select(Attempt.id).where(Attempt.id == attempt_id, Attempt.provider_id.is_not(None))
    return db.session.scalar(query) is not None


def deliveries_by_id(delivery_ids: Sequence[int]) -> dict[int, Delivery]:
    """Deliveries as they are now, reread from the database."""
    query = select(Delivery).where(Delivery.id.in_(delivery_ids))
    deliveries = db.session.scalars(query, execution_options={"populate_existing": True})
    return {delivery.id: delivery for delivery in deliveries}


def provider_ids_by_delivery(delivery_ids: Sequence[int]) -> dict[int, set[str]]:
    """Delivery id to the Twilio ids of all its known messages; simulated attempts have none."""
    accepted = select(Attempt.delivery_id, Attempt.provider_id).where(
        Attempt.delivery_id.in_(delivery_ids), Attempt.provider_id.is_not(None), Attempt.mode.not_in(SIMULATED_MODES)
    )
    reported = select(Receipt.delivery_id, Receipt.provider_id).where(Receipt.delivery_id.in_(delivery_ids))
    provider_ids: dict[int, set[str]] = {delivery_id: set() for delivery_id in delivery_ids}
    for query in (accepted, reported):
        for delivery_id, provider_id in db.session.execute(query):
            provider_ids[delivery_id].add(provider_id)
    return provider_ids


def has_recent_unknown(channel: str, since_ms: int) -> bool:
    """Whether the outcome of any message became unknown since then."""
    query = select(Delivery.id).where(*_unknown_on(channel), Delivery.state_changed_at_ms > since_ms)
    return db.session.scalar(query.limit(1)) is not None


def attempts_ended(delivery_id: int, outcome: AttemptOutcome, since_ms: int = 0) -> tuple[int, int]:
    """Number of attempts since then with this outcome, and the start of the first (0 if none).

    Of the attempts not sent, only those that the provider turned away count, not failures to reach it.
    """
    ended = (Attempt.delivery_id == delivery_id, Attempt.outcome == outcome, Attempt.started_at_ms > since_ms)
    query = select(func.count(), func.min(Attempt.started_at_ms)).where(*ended)
    if outcome is AttemptOutcome.NOT_SENT:
        query = query.where(Attempt.error_code != "")
    count, first_ms = db.session.execute(query).one()
    return count, first_ms or 0


def accepted_ids(account_sid: str, since_ms: int, until_ms: int) -> set[str]:
    """Twilio ids of the texts that were submitted for an account in that time."""
    accepted = (Attempt.account_sid == account_sid, Attempt.provider_id.is_not(None))
    in_time = (Attempt.slot_at_ms >= since_ms, Attempt.slot_at_ms < until_ms)
    query = select(Attempt.provider_id).where(*accepted, *in_time)
    return {provider_id for provider_id in db.session.scalars(query) if provider_id}


def unresolved_texts(limit: int, send_id: int | None = None) -> list[tuple[Delivery, Attempt]]:
    """Texts whose outcome is unknown, oldest first, with the attempt in question; of one send or of all."""
    query = (
        select(Delivery, Attempt)
        .join(Attempt, Attempt.id == Delivery.attempt_id)
        .where(Delivery.channel == "sms", Delivery.state == DeliveryState.UNKNOWN)
        .options(joinedload(Delivery.communication).joinedload(Communication.account))
        .order_by(Attempt.slot_at_ms)
        .limit(limit)
    )
    if send_id is not None:
        query = query.where(Delivery.send_id == send_id)
    return list(db.session.execute(query))


def unresolved_text(delivery_id: int, lock: bool = False) -> tuple[Delivery, Attempt] | None:
    query = select(Delivery, Attempt).join(Attempt, Attempt.id == Delivery.attempt_id)
    query = query.where(Delivery.id == delivery_id, Delivery.channel == "sms", Delivery.state == DeliveryState.UNKNOWN)
    if lock:
        query = query.with_for_update(of=Delivery)
    row = db.session.execute(query.execution_options(populate_existing=True)).first()
    return None if row is None else (row[0], row[1])

"""Deliveries that evidence must settle: unknown outcomes, and receipts that never came."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import joinedload

from portal.core.extensions import db
from portal.core.rules.delivery_status import DeliveryState
from portal.core.rules.routing import SIMULATED_MODES
from portal.messages.tables.communications import Attempt, Communication, Delivery, Receipt
from portal.messages.tables.unsent_messages import LANES


def due_unknown_deliveries(channel: str, due_ms: int, limit: int) -> list[Delivery]:
    query = select(Delivery).where(
        Delivery.channel == channel,
        Delivery.state == DeliveryState.UNKNOWN,
        Delivery.lane.in_(LANES),
        Delivery.due_at_ms <= due_ms,
    )
    return list(db.session.scalars(query.order_by(Delivery.due_at_ms).limit(limit)))


def deliveries_awaiting_receipt(due_ms: int, limit: int) -> list[Delivery]:
    """Accepted texts whose next look at Twilio is due."""
    query = select(Delivery).where(
        Delivery.channel == "sms",
        Delivery.state.in_((DeliveryState.ACCEPTED, DeliveryState.SENT)),
        Delivery.lane.in_(LANES),
        Delivery.due_at_ms <= due_ms,
        Delivery.provider_id.is_not(None),
    )
    return list(db.session.scalars(query.order_by(Delivery.due_at_ms).limit(limit)))


def current_attempt(delivery: Delivery) -> Attempt:
    """The attempt under way, whose outcome is in doubt."""
    return db.session.get_one(Attempt, delivery.attempt_id)


def is_message_claimed(provider_id: str) -> bool:
    """Whether an attempt has this message already."""
    return db.session.scalar(select(Attempt.id).where(Attempt.provider_id == provider_id).limit(1)) is not None


def is_attempt_accepted(attempt_id: str) -> bool:
    """Whether the attempt is known to have been accepted."""
    query = select(Attempt.id).where(Attempt.id == attempt_id, Attempt.provider_id.is_not(None))
    return db.session.scalar(query) is not None


def deliveries_by_id(delivery_ids: Sequence[int]) -> dict[int, Delivery]:
    """Deliveries as they stand now, whatever was read of them before."""
    query = select(Delivery).where(Delivery.id.in_(delivery_ids))
    found = db.session.scalars(query, execution_options={"populate_existing": True})
    return {delivery.id: delivery for delivery in found}


def provider_ids_by_delivery(delivery_ids: Sequence[int]) -> dict[int, set[str]]:
    """Delivery id to Twilio's ids of all messages that are known to have been made of it; rehearsals make none."""
    accepted = select(Attempt.delivery_id, Attempt.provider_id).where(
        Attempt.delivery_id.in_(delivery_ids), Attempt.provider_id.is_not(None), Attempt.mode.not_in(SIMULATED_MODES)
    )
    told = select(Receipt.delivery_id, Receipt.provider_id).where(Receipt.delivery_id.in_(delivery_ids))
    found: dict[int, set[str]] = {delivery_id: set() for delivery_id in delivery_ids}
    for query in (accepted, told):
        for delivery_id, provider_id in db.session.execute(query):
            found[delivery_id].add(provider_id)
    return found


def has_recent_unknown(channel: str, since_ms: int) -> bool:
    """Whether the outcome of any message has become unknown since then."""
    query = select(Delivery.id).where(
        Delivery.channel == channel,
        Delivery.state == DeliveryState.UNKNOWN,
        Delivery.lane.in_(LANES),
        Delivery.state_changed_at_ms > since_ms,
    )
    return db.session.scalar(query.limit(1)) is not None


def not_found_attempts(delivery_id: int) -> tuple[int, int]:
    """How many attempts of a delivery left no trace, and when the first of them began (0 for none)."""
    return _count_and_first(delivery_id, Attempt.outcome == "not_found")


def not_sent_attempts(delivery_id: int) -> tuple[int, int]:
    """The same of those that the provider would not take: by an answer of its own, not for want of a way to it."""
    return _count_and_first(delivery_id, Attempt.outcome == "not_sent", Attempt.error_code != "")


def unrecognized_attempts(delivery_id: int, since_ms: int) -> tuple[int, int]:
    """The same of those that it refused since then without anybody knowing why."""
    return _count_and_first(delivery_id, Attempt.outcome == "unrecognized_error", Attempt.started_at_ms > since_ms)


def rejection_count(delivery_id: int) -> int:
    """How many attempts of a delivery were refused."""
    return _count_and_first(delivery_id, Attempt.outcome == "rejected")[0]


def _count_and_first(delivery_id: int, *conditions: ColumnElement[bool]) -> tuple[int, int]:
    query = select(func.count(), func.min(Attempt.started_at_ms)).where(Attempt.delivery_id == delivery_id, *conditions)
    count, first_ms = db.session.execute(query).one()
    return count, first_ms or 0


def accepted_ids(account_sid: str, since_ms: int, until_ms: int) -> set[str]:
    """Twilio's ids of the texts that were handed in for an account in that time."""
    query = select(Attempt.provider_id).where(
        Attempt.account_sid == account_sid,
        Attempt.provider_id.is_not(None),
        Attempt.slot_at_ms >= since_ms,
        Attempt.slot_at_ms < until_ms,
    )
    return {provider_id for provider_id in db.session.scalars(query) if provider_id}


def unresolved_texts(limit: int, send_id: int | None = None) -> list[tuple[Delivery, Attempt]]:
    """Those whose outcome is in doubt, the longest first, with the attempt that is; of one send or of all."""
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
    return [(delivery, attempt) for delivery, attempt in db.session.execute(query)]


def unresolved_text(delivery_id: int, lock: bool = False) -> tuple[Delivery, Attempt] | None:
    query = select(Delivery, Attempt).join(Attempt, Attempt.id == Delivery.attempt_id)
    query = query.where(Delivery.id == delivery_id, Delivery.channel == "sms", Delivery.state == DeliveryState.UNKNOWN)
    if lock:
        query = query.with_for_update(of=Delivery)
    row = db.session.execute(query.execution_options(populate_existing=True)).first()
    return None if row is None else (row[0], row[1])

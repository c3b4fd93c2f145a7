"""How many texts a phone number has had lately, for the frequency cap (docs/consent-rules.md#frequency-cap).

Counted are the texts of bulk sends that reached the provider, or may have.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, case, func, literal, select, union_all
from sqlalchemy.orm import aliased

from portal.core.extensions import db
from portal.core.rules.delivery_status import WAITING, DeliveryState
from portal.core.rules.lanes import Lane
from portal.core.rules.limits.frequency_cap import CAP_WINDOW_MS
from portal.core.rules.routing import Mode
from portal.core.statements import in_list
from portal.messages.rules.attempt_outcome import AttemptOutcome
from portal.messages.tables.communications import Attempt, Communication, Delivery

UNKNOWN_TIME_MS = 2**53
"""When a text that waits will have left long enough ago: too far ahead for any text to wait for it."""
_COUNTED = (AttemptOutcome.PENDING, AttemptOutcome.ACCEPTED, AttemptOutcome.UNKNOWN)
_STEP_MS = 3_600_000
"""Predictions are to the hour, so that recipients form groups."""


def recent_texts(phones: Collection[str], now_ms: int) -> dict[str, int]:
    """Phone number to its number of counted texts within the last 24 hours, where there are any."""
    query = (
        select(Attempt.destination, func.count(Attempt.delivery_id.distinct()))
        .join(Delivery, Delivery.id == Attempt.delivery_id)
        .where(in_list(Attempt.destination, list(phones)), *_is_counted(now_ms))
        .group_by(Attempt.destination)
    )
    return {phone: count for phone, count in db.session.execute(query)} if phones else {}


def waiting_texts_to(phones: Sequence[str], now_ms: int) -> list[tuple[str, int]]:
    """Phone number and delivery id of the bulk texts that wait for these numbers, those deferred until now included."""
    first_ids = select(_oldest(DeliveryState.READY), _oldest(DeliveryState.DEFERRED))
    known = [oldest for oldest in db.session.execute(first_ids).one() if oldest is not None]
    query = select(Delivery.address, Delivery.id).where(
        Delivery.channel == "sms",
        in_list(Delivery.address, list(phones)),
        Delivery.communication_id >= min(known, default=0),  # spares the texts of months
        Delivery.state.in_((DeliveryState.READY, DeliveryState.DEFERRED)),
        Delivery.lane == Lane.BULK,
        Delivery.due_at_ms <= now_ms,
    )
    return [(phone, delivery_id) for phone, delivery_id in db.session.execute(query)] if phones else []


def capped_numbers(cap: int, now_ms: int) -> dict[int, list[str]]:
    """The numbers that get no more texts until some hour, by its milliseconds; texts that wait for them are included.

    Not a subquery: no database looks up a hundred thousand people in one that has no index.
    """
    sent = (
        select(Attempt.destination.label("number"), func.max(Attempt.slot_at_ms).label("slot_ms"))
        .join(Delivery, Delivery.id == Attempt.delivery_id)
        .where(*_is_counted(now_ms))
        .group_by(Attempt.destination, Attempt.delivery_id)
    )
    waiting = select(Delivery.address, literal(UNKNOWN_TIME_MS)).where(
        Delivery.channel == "sms",
        Delivery.state.in_((DeliveryState.READY, DeliveryState.DEFERRED)),
        Delivery.lane == Lane.BULK,
    )
    texts = union_all(sent, waiting).subquery()
    rank = func.row_number().over(partition_by=texts.c.number, order_by=texts.c.slot_ms.desc()).label("rank")
    ranked = select(texts.c.number, texts.c.slot_ms, rank).subquery()
    numbers: dict[int, list[str]] = defaultdict(list)
    for number, slot_ms in db.session.execute(select(ranked.c.number, ranked.c.slot_ms).where(ranked.c.rank == cap)):
        numbers[-(-(slot_ms + CAP_WINDOW_MS) // _STEP_MS) * _STEP_MS].append(number)
    return numbers


def beyond_cap(send_ids: Collection[int], cap: int, interval: int, now_ms: int) -> dict[int, int]:
    """Send id to number of its waiting texts that the cap will hold back, from every `interval`th account."""
    waiting = (
        select(Delivery.send_id, Delivery.address, Delivery.due_at_ms, _place_among_waiting().label("place"))
        .join(Communication, Communication.id == Delivery.communication_id)
        .where(Communication.send_id.in_(send_ids), Communication.account_id % interval == 0)
        .where(Delivery.channel == "sms", Delivery.state.in_(WAITING), Delivery.lane == Lane.BULK)
        .subquery()
    )
    earlier = aliased(Delivery)
    leaves_ms = case((waiting.c.due_at_ms > now_ms, waiting.c.due_at_ms), else_=now_ms)
    recent = (
        select(func.count(Attempt.delivery_id.distinct()))
        .join(earlier, earlier.id == Attempt.delivery_id)
        .where(Attempt.destination == waiting.c.address, Attempt.slot_at_ms > leaves_ms - CAP_WINDOW_MS)
        .where(Attempt.mode == Mode.LIVE, Attempt.outcome.in_(_COUNTED), earlier.lane == Lane.BULK)
        .correlate(waiting)
        .scalar_subquery()
    )
    query = select(waiting.c.send_id, func.count()).where(waiting.c.place + recent > cap)
    return {send_id: count * interval for send_id, count in db.session.execute(query.group_by(waiting.c.send_id))}


def _place_among_waiting() -> ColumnElement[int]:
    order = (Delivery.queue_position, Delivery.id)
    return func.row_number().over(partition_by=Delivery.address, order_by=order)


def _oldest(state: DeliveryState) -> ColumnElement[int]:
    """The first communication of a text in this state: one lookup in an index."""
    query = select(func.min(Delivery.communication_id)).where(Delivery.channel == "sms", Delivery.state == state)
    return query.scalar_subquery()


def _is_counted(now_ms: int) -> tuple[ColumnElement[bool], ...]:
    return (
        Attempt.slot_at_ms > now_ms - CAP_WINDOW_MS,
        Attempt.mode == Mode.LIVE,
        Attempt.outcome.in_(_COUNTED),
        Delivery.lane == Lane.BULK,
    )

"""Move many deliveries in a few statements, all guarded by state: the results of a batch of responses or receipts."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, Table, Update, bindparam, func, or_, select, update

from portal.core.extensions import db
from portal.core.rules.delivery_status import WAITING, DeliveryState, states_before
from portal.messages.rules.attempt_outcome import AttemptOutcome
from portal.messages.tables.communications import Attempt, Delivery

_DELIVERY = cast(Table, Delivery.__table__)
_ATTEMPT = cast(Table, Attempt.__table__)


def lock_deliveries(delivery_ids: Iterable[int]) -> None:
    """Lock rows in order of id, so that workers never deadlock. SQLite has a single writer anyway."""
    if db.session.get_bind().dialect.name != "sqlite":
        ids = sorted(set(delivery_ids))
        db.session.execute(select(Delivery.id).where(Delivery.id.in_(ids)).order_by(Delivery.id).with_for_update())


def delivery_states(delivery_ids: Iterable[int]) -> dict[int, str]:
    query = select(Delivery.id, Delivery.state).where(Delivery.id.in_(set(delivery_ids)))
    return {delivery_id: state for delivery_id, state in db.session.execute(query)}


def advance_many(rows: Sequence[tuple[int, str, str]], to: str, now_ms: int, next_at_ms: int) -> int:
    """`transitions.advance_delivery` for many (delivery id, Twilio id, error code). Return how many moved."""
    if not rows:
        return 0
    names, times = ("b_delivery", "b_provider", "b_code"), {"b_now": now_ms, "b_next": next_at_ms}
    return _rowcount_many(_advance_statement(to), [dict(zip(names, row, strict=True)) | times for row in rows])


@cache
def _advance_statement(to: str) -> Update:
    """Cached for each state: at hundreds of receipts a second, building it is a good part of the work."""
    return (
        update(_DELIVERY)
        .where(_DELIVERY.c.id == bindparam("b_delivery"), _is_one_of(states_before(to)))
        .values(state=to, state_changed_at_ms=bindparam("b_now"), lease_until_ms=None, due_at_ms=bindparam("b_next"))
        .values(provider_id=bindparam("b_provider"), error_code=bindparam("b_code"))
    )


def accept_many(rows: Sequence[dict[str, Any]], to: str, now_ms: int, next_at_ms: int) -> bool:
    """Move deliveries forward to `to` with the provider’s ids, each by its own id and attempt.

    Return False if a delivery already belongs to another message, or is final without having been sent. Its attempt
    still records the response, and keeps the provider id it had.
    """
    if not rows:
        return True
    advance_many([(row["delivery_id"], row["provider_id"], "") for row in rows], to, now_ms, next_at_ms)
    finished = (
        update(_ATTEMPT)
        .where(_ATTEMPT.c.id == bindparam("b_attempt"))
        .values(outcome=AttemptOutcome.ACCEPTED, finished_at_ms=now_ms)
        .values(provider_id=func.coalesce(_ATTEMPT.c.provider_id, bindparam("b_provider")))
        .values(http_status=bindparam("b_status"), provider_response=bindparam("b_response"))
    )
    names = {"attempt_id": "b_attempt", "provider_id": "b_provider"}
    names |= {"http_status": "b_status", "provider_response": "b_response"}
    parameters = [{parameter: row[name] for name, parameter in names.items()} for row in rows]
    same_message = func.coalesce(_ATTEMPT.c.provider_id, bindparam("b_provider")) == bindparam("b_provider")
    consistent = finished.where(same_message, _is_delivery_sent_as(bindparam("b_provider")))
    return _execute_guarded(consistent, finished, parameters)


def confirm_accepted(pairs: Sequence[tuple[str, str]], now_ms: int) -> bool:
    """Mark attempts as accepted, given pairs of attempt id and Twilio id.

    Return False if an attempt, or another one at the same delivery, was already known to be accepted.
    """
    if not pairs:
        return True
    accepted = (
        update(_ATTEMPT)
        .where(_ATTEMPT.c.id == bindparam("b_attempt"), _ATTEMPT.c.provider_id.is_(None))
        .values(outcome=AttemptOutcome.ACCEPTED, provider_id=bindparam("b_provider"), finished_at_ms=now_ms)
    )
    parameters = [{"b_attempt": attempt_id, "b_provider": provider_id} for attempt_id, provider_id in pairs]
    return _execute_guarded(accepted.where(~_has_accepted_another()), accepted, parameters)


def release_claims(pairs: Sequence[tuple[int, str]], now_ms: int) -> None:
    """Make texts that were not sent ready again, without counting the attempt. Pairs are delivery and attempt ids."""
    if not pairs:
        return
    requeue = (
        update(_DELIVERY)
        .where(
            _DELIVERY.c.id == bindparam("b_delivery"),
            _DELIVERY.c.attempt_id == bindparam("b_attempt"),
            _is_one_of((DeliveryState.SENDING, DeliveryState.UNKNOWN)),
        )
        .values(state=DeliveryState.READY, state_changed_at_ms=now_ms, lease_until_ms=None, due_at_ms=now_ms)
        .values(attempt_count=_DELIVERY.c.attempt_count - 1)
    )
    rows = [{"b_delivery": delivery_id, "b_attempt": attempt_id} for delivery_id, attempt_id in pairs]
    db.session.connection().execute(requeue, rows)
    released = (
        update(_ATTEMPT)
        .where(_ATTEMPT.c.id == bindparam("b_attempt"), _ATTEMPT.c.provider_id.is_(None))
        .values(outcome=AttemptOutcome.RELEASED, finished_at_ms=now_ms)
    )
    db.session.connection().execute(released, [{"b_attempt": attempt_id} for _, attempt_id in pairs])


def mark_unresolved(pairs: Sequence[tuple[int, str]], now_ms: int) -> None:
    """Make waiting messages that may have been sent unknown. Pairs are delivery and attempt ids."""
    statement = (
        update(_DELIVERY)
        .where(_DELIVERY.c.id == bindparam("b_delivery"), _is_one_of(WAITING))
        .values(state=DeliveryState.UNKNOWN, attempt_id=bindparam("b_attempt"))
        .values(state_changed_at_ms=now_ms, due_at_ms=now_ms)
    )
    rows = [{"b_delivery": delivery_id, "b_attempt": attempt_id} for delivery_id, attempt_id in pairs]
    db.session.connection().execute(statement, rows)


def _is_delivery_sent_as(provider_id: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether the attempt’s delivery carries this provider id."""
    query = select(_DELIVERY.c.id).where(
        _DELIVERY.c.id == _ATTEMPT.c.delivery_id, _DELIVERY.c.provider_id == provider_id
    )
    return query.correlate(_ATTEMPT).exists()


def _has_accepted_another() -> ColumnElement[bool]:
    """Whether another attempt at the same delivery was accepted."""
    other = _ATTEMPT.alias("other")
    query = select(other.c.id).where(
        other.c.delivery_id == _ATTEMPT.c.delivery_id, other.c.provider_id.is_not(None), other.c.id != _ATTEMPT.c.id
    )
    return query.correlate(_ATTEMPT).exists()


def _execute_guarded(guarded: Update, unguarded: Update, rows: Sequence[dict[str, Any]]) -> bool:
    """Return whether the guarded statement changed all rows; otherwise also execute the unguarded one."""
    is_complete = _rowcount_many(guarded, rows) == len(rows)
    if not is_complete:
        _rowcount_many(unguarded, rows)
    return is_complete


def _rowcount_many(statement: Update, rows: Sequence[dict[str, Any]]) -> int:
    """How many rows the statement changed, over all its parameters."""
    return cast(CursorResult[Any], db.session.connection().execute(statement, list(rows))).rowcount


def _is_one_of(states: Sequence[str]) -> ColumnElement[bool]:
    """For executemany, which cannot expand an IN."""
    return or_(*(_DELIVERY.c.state == state for state in states))

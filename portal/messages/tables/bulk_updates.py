"""Moving many deliveries in a few statements: what a batch of answers or receipts says, all guarded by state."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, Table, Update, bindparam, func, or_, select, update

from portal.core.extensions import db
from portal.core.rules.delivery_status import WAITING, DeliveryState, states_before
from portal.messages.tables.communications import Attempt, Delivery

_DELIVERY = cast(Table, Delivery.__table__)
_ATTEMPT = cast(Table, Attempt.__table__)


def lock_deliveries(delivery_ids: Iterable[int]) -> None:
    """Whoever moves several deliveries takes them in order of id first, so that nobody waits in a circle.

    SQLite has one writer at a time anyway.
    """
    if db.session.get_bind().dialect.name != "sqlite":
        ids = sorted(set(delivery_ids))
        db.session.execute(select(Delivery.id).where(Delivery.id.in_(ids)).order_by(Delivery.id).with_for_update())


def delivery_states(delivery_ids: Iterable[int]) -> dict[int, str]:
    """As they stand in this transaction."""
    query = select(Delivery.id, Delivery.state).where(Delivery.id.in_(set(delivery_ids)))
    return {delivery_id: state for delivery_id, state in db.session.execute(query)}


def advance_many(rows: Sequence[tuple[int, str, str]], to: str, now_ms: int, next_at_ms: int) -> int:
    """`advance` for many: delivery, Twilio's id and error code of each. How many of them moved."""
    if not rows:
        return 0
    at = {"b_now": now_ms, "b_next": next_at_ms}
    known = [
        {"b_delivery": place, "b_provider": provider_id, "b_code": code, **at} for place, provider_id, code in rows
    ]
    return _rowcount_many(_advance_statement(to), known)


@cache
def _advance_statement(to: str) -> Update:
    """Made once for each state: where receipts come by the hundred a second, making it is a good part of the work."""
    return (
        update(_DELIVERY)
        .where(_DELIVERY.c.id == bindparam("b_delivery"), _is_one_of(states_before(to)))
        .values(
            state=to,
            state_changed_at_ms=bindparam("b_now"),
            lease_until_ms=None,
            due_at_ms=bindparam("b_next"),
            provider_id=bindparam("b_provider"),
            error_code=bindparam("b_code"),
        )
    )


def accept_many(rows: Sequence[dict[str, Any]], to: str, now_ms: int, next_at_ms: int) -> bool:
    """Move deliveries forward to `to` with what the provider named them; each by its own id and attempt.

    False when one of them is another message's already, or nobody's since it never left. Its attempt keeps what is
    heard now all the same, and the name that it was known by before.
    """
    if not rows:
        return True
    advance_many([(row["delivery_id"], row["provider_id"], "") for row in rows], to, now_ms, next_at_ms)
    finished = (
        update(_ATTEMPT)
        .where(_ATTEMPT.c.id == bindparam("b_attempt"))
        .values(
            outcome="accepted",
            finished_at_ms=now_ms,
            provider_id=func.coalesce(_ATTEMPT.c.provider_id, bindparam("b_provider")),
            http_status=bindparam("b_status"),
            provider_response=bindparam("b_response"),
        )
    )
    done = [
        {
            "b_attempt": row["attempt_id"],
            "b_provider": row["provider_id"],
            "b_status": row["http_status"],
            "b_response": row["provider_response"],
        }
        for row in rows
    ]
    as_known = func.coalesce(_ATTEMPT.c.provider_id, bindparam("b_provider")) == bindparam("b_provider")
    if _rowcount_many(finished.where(as_known, _is_delivered_by(bindparam("b_provider"))), done) == len(done):
        return True
    _rowcount_many(finished, done)
    return False


def confirm_accepted(pairs: Sequence[tuple[str, str]], now_ms: int) -> bool:
    """Attempts that were accepted, whatever we heard of them: their ids and Twilio's.

    False when one of them was known to be accepted before, or another attempt at the same delivery is.
    """
    if not pairs:
        return True
    proven = (
        update(_ATTEMPT)
        .where(_ATTEMPT.c.id == bindparam("b_attempt"), _ATTEMPT.c.provider_id.is_(None))
        .values(outcome="accepted", provider_id=bindparam("b_provider"), finished_at_ms=now_ms)
    )
    known = [{"b_attempt": attempt_id, "b_provider": provider_id} for attempt_id, provider_id in pairs]
    if _rowcount_many(proven.where(~_has_accepted_another()), known) == len(known):
        return True
    _rowcount_many(proven, known)
    return False


def release_claims(pairs: Sequence[tuple[int, str]], now_ms: int) -> None:
    """Texts that were not sent are ready again, and no attempt is burned. Pairs of delivery and attempt."""
    if not pairs:
        return
    back = (
        update(_DELIVERY)
        .where(
            _DELIVERY.c.id == bindparam("b_delivery"),
            _DELIVERY.c.attempt_id == bindparam("b_attempt"),
            _is_one_of(("sending", "unknown")),
        )
        .values(
            state=DeliveryState.READY,
            state_changed_at_ms=now_ms,
            lease_until_ms=None,
            due_at_ms=now_ms,
            attempt_count=_DELIVERY.c.attempt_count - 1,
        )
    )
    rows = [{"b_delivery": delivery_id, "b_attempt": attempt_id} for delivery_id, attempt_id in pairs]
    db.session.connection().execute(back, rows)
    released = (
        update(_ATTEMPT)
        .where(_ATTEMPT.c.id == bindparam("b_attempt"), _ATTEMPT.c.provider_id.is_(None))
        .values(outcome="released", finished_at_ms=now_ms)
    )
    db.session.connection().execute(released, [{"b_attempt": attempt_id} for _, attempt_id in pairs])


def mark_unresolved(pairs: Sequence[tuple[int, str]], now_ms: int) -> None:
    """Waiting messages that may have left after all: unknown, by the attempt given with each."""
    moved = (
        update(_DELIVERY)
        .where(_DELIVERY.c.id == bindparam("b_delivery"), _is_one_of(WAITING))
        .values(
            state=DeliveryState.UNKNOWN, attempt_id=bindparam("b_attempt"), state_changed_at_ms=now_ms, due_at_ms=now_ms
        )
    )
    rows = [{"b_delivery": delivery_id, "b_attempt": attempt_id} for delivery_id, attempt_id in pairs]
    db.session.connection().execute(moved, rows)


def _is_delivered_by(provider_id: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether an attempt's delivery stands where this message has brought it."""
    query = select(_DELIVERY.c.id).where(
        _DELIVERY.c.id == _ATTEMPT.c.delivery_id, _DELIVERY.c.provider_id == provider_id
    )
    return query.correlate(_ATTEMPT).exists()


def _has_accepted_another() -> ColumnElement[bool]:
    """Whether another attempt at the attempt's delivery was accepted."""
    other = _ATTEMPT.alias("other")
    query = select(other.c.id).where(
        other.c.delivery_id == _ATTEMPT.c.delivery_id, other.c.provider_id.is_not(None), other.c.id != _ATTEMPT.c.id
    )
    return query.correlate(_ATTEMPT).exists()


def _rowcount_many(statement: Update, rows: Sequence[dict[str, Any]]) -> int:
    """How many rows the statement changed, over all its parameters."""
    return cast(CursorResult[Any], db.session.connection().execute(statement, list(rows))).rowcount


def _is_one_of(states: Sequence[str]) -> ColumnElement[bool]:
    """For statements with many rows of parameters, which cannot hold an IN."""
    return or_(*(_DELIVERY.c.state == state for state in states))

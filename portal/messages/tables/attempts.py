"""Attempts: a row for each call to a provider, written before it (docs/reliability.md#attempt-before-the-call)."""

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import ColumnElement, Table, Update, bindparam, func, insert, select, update

from portal.core.extensions import db
from portal.core.rules.delivery_status import DeliveryState
from portal.core.statements import updated_count, updated_count_many
from portal.messages.rules.attempt_outcome import AttemptOutcome
from portal.messages.tables import transitions
from portal.messages.tables.communications import Attempt, Delivery

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


def start_attempts(attempts: Sequence[dict[str, Any]], now_ms: int) -> None:
    """Insert the attempts and lease their deliveries, before anything is sent."""
    if attempts:
        db.session.execute(insert(Attempt), list(attempts))
        transitions.claim(attempts, now_ms)


def finish_attempt(attempt_id: str, outcome: str, now_ms: int, **details: Any) -> None:
    """Record the outcome of an attempt. Evidence that it was accepted is never overwritten.

    Write the delivery’s row first: receipts lock the two rows in that order, so there is no deadlock.
    """
    query = update(Attempt).where(Attempt.id == attempt_id)
    if outcome != AttemptOutcome.ACCEPTED:
        query = query.where(Attempt.provider_id.is_(None))
    updated_count(query.values(outcome=outcome, finished_at_ms=now_ms, **details))


def accept_many(rows: Sequence[dict[str, Any]], to: str, now_ms: int, next_at_ms: int) -> bool:
    """Move deliveries forward to `to` with the provider’s ids, each by its own id and attempt.

    Return False if a delivery already belongs to another message, or is final without having been sent. Its attempt
    still records the response, and keeps the provider id it had.
    """
    transitions.report_many([(row["delivery_id"], row["provider_id"], "") for row in rows], to, now_ms, next_at_ms)
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
    accepted = (
        update(_ATTEMPT)
        .where(_ATTEMPT.c.id == bindparam("b_attempt"), _ATTEMPT.c.provider_id.is_(None))
        .values(outcome=AttemptOutcome.ACCEPTED, provider_id=bindparam("b_provider"), finished_at_ms=now_ms)
    )
    parameters = [{"b_attempt": attempt_id, "b_provider": provider_id} for attempt_id, provider_id in pairs]
    return _execute_guarded(accepted.where(~_has_accepted_another()), accepted, parameters)


def release_claims(pairs: Sequence[tuple[int, str]], now_ms: int) -> None:
    """Make texts that were not sent ready again, without counting the attempt. Pairs are delivery and attempt ids."""
    transitions.release(pairs, now_ms)
    released = (
        update(_ATTEMPT)
        .where(_ATTEMPT.c.id == bindparam("b_attempt"), _ATTEMPT.c.provider_id.is_(None))
        .values(outcome=AttemptOutcome.RELEASED, finished_at_ms=now_ms)
    )
    updated_count_many(released, [{"b_attempt": attempt_id} for _, attempt_id in pairs])


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
    is_complete = updated_count_many(guarded, rows) == len(rows)
    if not is_complete:
        updated_count_many(unguarded, rows)
    return is_complete

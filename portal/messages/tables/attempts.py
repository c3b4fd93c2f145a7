"""Attempts: a row for each call to a provider, written before it (docs/reliability.md#attempt-before-the-call)."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, cast

from sqlalchemy import BindParameter, Table, Text, Update, bindparam, func, select, update

from portal.core.extensions import db
from portal.core.rules.delivery_status import DeliveryState
from portal.core.rules.routing import Mode
from portal.core.statements import in_list, insert_rows, updated_count, updated_count_at_once, updated_count_many
from portal.gateways.outcomes import Accepted, AccountFault, NotSent, Rejected, Unknown
from portal.messages.rules.attempt_outcome import AttemptOutcome
from portal.messages.tables import transitions
from portal.messages.tables.communications import Attempt, Delivery

_DELIVERY = cast(Table, Delivery.__table__)
_ATTEMPT = cast(Table, Attempt.__table__)
_NO_OUTCOME = {"outcome": AttemptOutcome.PENDING.value, "error_code": "", "detail": ""}
FailedOutcome = Rejected | NotSent | Unknown | AccountFault


@dataclass(frozen=True)
class NewAttempt:
    """The row of an attempt before its call, which also leases the delivery."""

    delivery_id: int
    mode: Mode
    destination: str
    started_at_ms: int
    slot_at_ms: int
    lease_until_ms: int
    account_sid: str = ""
    sender: str = ""
    id: str = field(default_factory=lambda: secrets.token_urlsafe(12))


class Charge(NamedTuple):
    """What the provider says a message costs: a decimal number, "" until it is known, and its segments."""

    provider_id: str
    segments: int | None
    price: str
    price_unit: str


def duplicates_in_flight(phones: Sequence[str], account_sid: str) -> set[tuple[str, str]]:
    """(phone, body) of the account’s texts to these phones whose outcome is not known yet."""
    query = (
        select(Attempt.destination, Delivery.body)
        .join(Delivery, Delivery.attempt_id == Attempt.id)
        .where(Attempt.destination.in_(phones), Attempt.account_sid == account_sid)
        .where(Delivery.state.in_((DeliveryState.SENDING, DeliveryState.UNKNOWN)))
    )
    return set(db.session.execute(query))


def start_attempts(attempts: Sequence[NewAttempt], now_ms: int) -> None:
    """Insert the attempts and lease their deliveries, before anything is sent."""
    if attempts:
        rows = [vars(attempt) | _NO_OUTCOME | {"mode": str(attempt.mode)} for attempt in attempts]
        insert_rows(Attempt, rows)
        transitions.claim(rows, now_ms)


def finish_attempt(attempt_id: str, outcome: str, now_ms: int, **details: Any) -> None:
    """Record the outcome of an attempt. Evidence that it was accepted is never overwritten.

    Write the delivery’s row first: receipts lock the two rows in that order, so there is no deadlock.
    """
    query = update(Attempt).where(Attempt.id == attempt_id)
    if outcome != AttemptOutcome.ACCEPTED:
        query = query.where(Attempt.provider_id.is_(None))
    updated_count(query.values(outcome=outcome, finished_at_ms=now_ms, **details))


def complete(
    attempt: NewAttempt,
    to: str,
    kind: AttemptOutcome,
    outcome: FailedOutcome,
    now_ms: int,
    count_attempt: bool = True,
    **changes: Any,
) -> bool:
    """Move the delivery after an attempt that failed. False if other evidence has moved it meanwhile."""
    if not count_attempt:
        changes["attempt_count"] = Delivery.attempt_count - 1
    is_moved = transitions.complete(attempt.delivery_id, attempt.id, to, now_ms, **changes)
    code = "" if isinstance(outcome, Unknown) else outcome.code
    details = {"detail": outcome.message, "http_status": outcome.http_status, "error_code": code}
    finish_attempt(attempt.id, kind, now_ms, **details, provider_response=outcome.provider_response or None)
    return is_moved


def accept_many(accepted: Sequence[tuple[NewAttempt, Accepted]], to: str, now_ms: int, next_at_ms: int) -> bool:
    """Move deliveries forward to `to` with the provider’s ids, each by its own id and attempt.

    Return False if a delivery already belongs to another message, or is final without having been sent. Its attempt
    still records the response, and keeps the provider id it had.
    """
    deliveries = [(attempt.delivery_id, outcome.provider_id, "") for attempt, outcome in accepted]
    transitions.report_many(deliveries, to, now_ms, next_at_ms)
    parameters = [
        {
            "b_attempt": attempt.id,
            "b_provider": outcome.provider_id,
            "b_status": outcome.http_status,
            "b_response": outcome.provider_response or None,
            "b_now": now_ms,
        }
        for attempt, outcome in accepted
    ]
    return _execute_guarded(*_FINISH, parameters, partial(updated_count_at_once, key="b_attempt"))


def confirm_accepted(pairs: Sequence[tuple[str, str]], now_ms: int) -> bool:
    """Mark attempts as accepted, given pairs of attempt id and Twilio id.

    Return False if an attempt, or another one at the same delivery, was already known to be accepted.
    """
    parameters = [
        {"b_attempt": attempt_id, "b_provider": provider_id, "b_now": now_ms} for attempt_id, provider_id in pairs
    ]
    return _execute_guarded(*_CONFIRM, parameters, updated_count_many)


def record_charges(charges: Sequence[Charge]) -> None:
    """Store what the provider charges for its messages. Inside a transaction.

    Rows are written in order of id, as receipts do, so there is no deadlock.
    """
    by_id = {charge.provider_id: charge for charge in charges}
    query = select(Attempt.id, Attempt.provider_id).where(in_list(Attempt.provider_id, list(by_id)))
    rows = db.session.execute(query.where(Attempt.price.is_(None)).order_by(Attempt.id)).all() if by_id else []
    changes = [_charge_row(row.id, by_id[row.provider_id]) for row in rows if row.provider_id]
    updated_count_many(_CHARGE, changes)


def _charge_row(attempt_id: str, charge: Charge) -> dict[str, Any]:
    price, unit = (charge.price, charge.price_unit) if charge.price else (None, None)
    return {"b_attempt": attempt_id, "b_segments": charge.segments, "b_price": price, "b_unit": unit}


def release_claims(attempts: Sequence[NewAttempt], now_ms: int, delay_ms: int = 0) -> None:
    """Make messages that were not sent ready again, without counting the attempt."""
    if not attempts:
        return
    pairs = [(attempt.delivery_id, attempt.id) for attempt in attempts]
    transitions.release(pairs, now_ms, now_ms + delay_ms)
    released = (
        update(_ATTEMPT)
        .where(_ATTEMPT.c.id == bindparam("b_attempt"), _ATTEMPT.c.provider_id.is_(None))
        .values(outcome=AttemptOutcome.RELEASED, finished_at_ms=now_ms)
    )
    updated_count_many(released, [{"b_attempt": attempt_id} for _, attempt_id in pairs])


def _finish_statements() -> tuple[Update, Update]:
    """Store the provider's answer, guarded by the delivery carrying the same message, and without the guard."""
    provider_id: BindParameter[str] = bindparam("b_provider", type_=Text)
    finished = (
        update(_ATTEMPT)
        .where(_ATTEMPT.c.id == bindparam("b_attempt"))
        .values(outcome=AttemptOutcome.ACCEPTED, finished_at_ms=bindparam("b_now"))
        .values(provider_id=func.coalesce(_ATTEMPT.c.provider_id, provider_id))
        .values(http_status=bindparam("b_status"), provider_response=bindparam("b_response"))
    )
    sent_as = select(_DELIVERY.c.provider_id).where(_DELIVERY.c.id == _ATTEMPT.c.delivery_id).correlate(_ATTEMPT)
    same_message = func.coalesce(_ATTEMPT.c.provider_id, provider_id) == provider_id
    return finished.where(same_message, sent_as.scalar_subquery() == provider_id), finished


def _confirm_statements() -> tuple[Update, Update]:
    """Mark an attempt as accepted, guarded by no other attempt at its delivery being so, and without the guard."""
    accepted = (
        update(_ATTEMPT)
        .where(_ATTEMPT.c.id == bindparam("b_attempt"), _ATTEMPT.c.provider_id.is_(None))
        .values(outcome=AttemptOutcome.ACCEPTED, provider_id=bindparam("b_provider"))
        .values(finished_at_ms=bindparam("b_now"))
    )
    other = _ATTEMPT.alias("other")
    another = select(other.c.id).where(
        other.c.delivery_id == _ATTEMPT.c.delivery_id, other.c.provider_id.is_not(None), other.c.id != _ATTEMPT.c.id
    )
    return accepted.where(~another.correlate(_ATTEMPT).exists()), accepted


_CHARGE = (
    update(_ATTEMPT)
    .where(_ATTEMPT.c.id == bindparam("b_attempt"))
    .values(provider_segments=bindparam("b_segments"), price=bindparam("b_price"), price_unit=bindparam("b_unit"))
)
_FINISH, _CONFIRM = _finish_statements(), _confirm_statements()
"""Built once: at hundreds of receipts a second, building them would be a good part of the work."""


def _execute_guarded(
    guarded: Update,
    unguarded: Update,
    rows: Sequence[dict[str, Any]],
    updated_count: Callable[[Update, Sequence[dict[str, Any]]], int],
) -> bool:
    """Return whether the guarded statement changed all rows; otherwise also execute the unguarded one."""
    is_complete = updated_count(guarded, rows) == len(rows)
    if not is_complete:
        updated_count(unguarded, rows)
    return is_complete

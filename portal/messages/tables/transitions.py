"""Every change of a delivery's state, guarded by the states that `messages.rules.delivery_transitions` permits.

A guarded update that changes no row was overtaken by another event.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, cast

from sqlalchemy import ARRAY, BigInteger, ColumnElement, Table, Update, any_, bindparam, func, or_, select, update

from portal.accounts.tables.accounts import Account
from portal.core.extensions import db
from portal.core.rules.delivery_status import WAITING, DeliveryState
from portal.core.rules.lanes import Lane
from portal.core.rules.routing import Reason, TextKind
from portal.core.statements import updated_count, updated_count_at_once, updated_count_many
from portal.messages.rules.delivery_transitions import DeliveryEvent, source_states
from portal.messages.tables.communications import Communication, Delivery
from portal.messages.tables.unsent_messages import READY

DELIVERY_CHANNELS = ("email", "sms")
_DELIVERY = cast(Table, Delivery.__table__)


def lock_deliveries(delivery_ids: Iterable[int]) -> None:
    """Lock rows in order of id, so that workers never deadlock. SQLite has a single writer anyway."""
    if db.session.get_bind().dialect.name != "sqlite":
        db.session.connection().execute(_LOCK, {"ids": list(set(delivery_ids))})


_LOCK = (
    select(_DELIVERY.c.id)
    .where(_DELIVERY.c.id == any_(bindparam("ids", type_=ARRAY(BigInteger))))
    .order_by(_DELIVERY.c.id)
    .with_for_update()
)
"""For PostgreSQL, with one parameter: a list of many would have to be planned anew for each length."""


def delivery_states(delivery_ids: Iterable[int]) -> dict[int, str]:
    query = select(Delivery.id, Delivery.state).where(Delivery.id.in_(set(delivery_ids)))
    return {delivery_id: state for delivery_id, state in db.session.execute(query)}


def claim(attempts: Sequence[dict[str, Any]], now_ms: int) -> None:
    """Lease the deliveries to their attempts (rows with `delivery_id`, `id` and `lease_until_ms`)."""
    names = {"b_delivery": "delivery_id", "b_attempt": "id", "b_lease": "lease_until_ms"}
    rows = [{key: row[name] for key, name in names.items()} | {"b_now": now_ms} for row in attempts]
    updated_count_at_once(_claim_each(), rows, "b_delivery")


@cache
def _claim_each() -> Update:
    """Cached, as `_report_each` is."""
    return _move_each(DeliveryEvent.CLAIM, DeliveryState.SENDING).values(
        attempt_id=bindparam("b_attempt"),
        lease_until_ms=bindparam("b_lease"),
        attempt_count=_DELIVERY.c.attempt_count + 1,
        state_changed_at_ms=bindparam("b_now"),
        reason="",
    )


def release(pairs: Sequence[tuple[int, str]], now_ms: int, due_at_ms: int) -> None:
    """Make claimed messages that were not sent ready again, without counting the attempt (delivery and attempt id)."""
    statement = (
        _move_each(DeliveryEvent.RELEASE, DeliveryState.READY)
        .where(_DELIVERY.c.attempt_id == bindparam("b_attempt"))
        .values(state_changed_at_ms=now_ms, lease_until_ms=None, due_at_ms=due_at_ms)
        .values(attempt_count=_DELIVERY.c.attempt_count - 1)
    )
    updated_count_many(statement, _pair_parameters(pairs))


def complete(delivery_id: int, attempt_id: str, to: str, now_ms: int, **changes: Any) -> bool:
    """Move a delivery that this attempt still owns. False if something else has moved it meanwhile."""
    statement = _move(DeliveryEvent.COMPLETE, to, now_ms).where(
        Delivery.id == delivery_id, Delivery.attempt_id == attempt_id
    )
    return updated_count(statement.values(lease_until_ms=None, **changes)) > 0


def report(delivery_id: int, to: str, now_ms: int, **changes: Any) -> bool:
    """Move a delivery forward on evidence from the provider. False if its state is as far already, or final."""
    statement = _move(DeliveryEvent.REPORT, to, now_ms).where(Delivery.id == delivery_id)
    return updated_count(statement.values(lease_until_ms=None, **changes)) > 0


def report_many(rows: Sequence[tuple[int, str, str]], to: str, now_ms: int, next_at_ms: int) -> int:
    """`report` for many (delivery id, Twilio id, error code). Return how many moved."""
    names, times = ("b_delivery", "b_provider", "b_code"), {"b_now": now_ms, "b_next": next_at_ms}
    parameters = [dict(zip(names, row, strict=True)) | times for row in rows]
    return updated_count_at_once(_report_each(to), parameters, "b_delivery")


@cache
def _report_each(to: str) -> Update:
    """Cached for each state: at hundreds of receipts a second, building it is a good part of the work."""
    return (
        _move_each(DeliveryEvent.REPORT, to)
        .values(state_changed_at_ms=bindparam("b_now"), lease_until_ms=None, due_at_ms=bindparam("b_next"))
        .values(provider_id=bindparam("b_provider"), error_code=bindparam("b_code"))
    )


def follow_send(
    delivery_ids: Sequence[int], to: str, now_ms: int, source: str = DeliveryState.READY, **changes: Any
) -> int:
    """Move messages in the state `source` because their send or its quiet hours changed. Return how many moved."""
    statement = _move(DeliveryEvent.FOLLOW_SEND, to, now_ms).where(Delivery.state == source)
    return updated_count(statement.where(Delivery.id.in_(delivery_ids)).values(**changes))


def next_bulk_texts(limit: int, now_ms: int) -> list[tuple[int, str, str]]:
    """Delivery id, phone number and account's time zone of the next notifications that are due in the bulk lane."""
    due = (
        select(Delivery.id, Delivery.address, Account.timezone)
        .join(Communication, Communication.id == Delivery.communication_id)
        .join(Account, Account.id == Communication.account_id)
        .where(Delivery.channel == "sms", READY, Delivery.lane == Lane.BULK, Delivery.due_at_ms <= now_ms)
        .where(Communication.kind == TextKind.NOTIFICATION)
        .order_by(Delivery.queue_position, Delivery.id)
        .limit(limit)
    )
    return [(row.id, row.address, row.timezone) for row in db.session.execute(due)]


def defer(delivery_ids: Sequence[int], until_ms: int, now_ms: int) -> None:
    """Move texts to the end of quiet hours, so that claims need not skip them again."""
    free = select(Delivery.id).where(Delivery.id.in_(delivery_ids)).order_by(Delivery.id)
    ids = list(db.session.scalars(free.with_for_update(skip_locked=True)))
    statement = _move(DeliveryEvent.DEFER, DeliveryState.DEFERRED, now_ms).where(Delivery.id.in_(ids))
    updated_count(statement.values(reason=Reason.QUIET_HOURS, due_at_ms=until_ms))


def skip_waiting(account_id: int, reason: str, now_ms: int) -> int:
    """End what waits for an account. Return how many deliveries that were."""
    of_account = select(Communication.id).where(Communication.account_id == account_id)
    statement = _move(DeliveryEvent.SKIP, DeliveryState.SKIPPED, now_ms)
    return updated_count(statement.where(Delivery.communication_id.in_(of_account)).values(reason=reason))


def count_waiting(account_id: int) -> int:
    """What `skip_waiting` would end."""
    of_account = select(Communication.id).where(Communication.account_id == account_id)
    query = select(func.count()).where(Delivery.communication_id.in_(of_account), Delivery.state.in_(WAITING))
    return db.session.scalar(query) or 0


def skip(delivery_id: int, reason: str, now_ms: int) -> None:
    statement = _move(DeliveryEvent.SKIP, DeliveryState.SKIPPED, now_ms).where(Delivery.id == delivery_id)
    updated_count(statement.values(reason=reason))


def expire_leases(now_ms: int) -> None:
    """Messages past their lease may have been sent: they become unknown until evidence resolves them."""
    statement = _move(DeliveryEvent.LEASE_EXPIRES, DeliveryState.UNKNOWN, now_ms).where(
        Delivery.channel.in_(DELIVERY_CHANNELS), Delivery.lease_until_ms < now_ms
    )
    updated_count(statement.values(due_at_ms=now_ms, lease_until_ms=None))


def quarantine(pairs: Sequence[tuple[int, str]], now_ms: int) -> None:
    """Make waiting messages that may have been sent unknown. Pairs are delivery and attempt ids."""
    statement = (
        _move_each(DeliveryEvent.QUARANTINE, DeliveryState.UNKNOWN)
        .values(attempt_id=bindparam("b_attempt"))
        .values(state_changed_at_ms=now_ms, due_at_ms=now_ms)
    )
    updated_count_many(statement, _pair_parameters(pairs))


def _move(event: DeliveryEvent, to: str, now_ms: int) -> Update:
    sources = source_states(event, to)
    guard = Delivery.state == sources[0] if len(sources) == 1 else Delivery.state.in_(sources)
    return update(Delivery).where(guard).values(state=to, state_changed_at_ms=now_ms)


def _move_each(event: DeliveryEvent, to: str) -> Update:
    """For executemany, which cannot expand an IN. Its parameter `b_delivery` is the delivery's id."""
    states: list[ColumnElement[bool]] = [_DELIVERY.c.state == state for state in source_states(event, to)]
    return update(_DELIVERY).where(_DELIVERY.c.id == bindparam("b_delivery"), or_(*states)).values(state=to)


def _pair_parameters(pairs: Sequence[tuple[int, str]]) -> list[dict[str, Any]]:
    return [{"b_delivery": delivery_id, "b_attempt": attempt_id} for delivery_id, attempt_id in pairs]

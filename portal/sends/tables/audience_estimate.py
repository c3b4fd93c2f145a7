"""How many of an audience a text reaches, counted by the database: nobody waits while 100,000 people are looked at."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, case, func, select
from sqlalchemy.orm import aliased

from portal.accounts.tables.accounts import RECIPIENT_COLUMNS, Account, Recipient
from portal.accounts.tables.phone_numbers import PhoneNumber, PhoneState
from portal.core.extensions import db
from portal.core.rules.routing import RecipientPhone
from portal.sends.tables.audience import in_audience


@dataclass(frozen=True)
class RoutingGroup:
    """So many people whose numbers and hour make no difference to `core.rules.routing.decide`, by one like them."""

    count: int
    timezone: str
    numbers: tuple[RecipientPhone, ...]


def routing_groups(audience: Mapping[str, Any]) -> list[RoutingGroup]:
    """The whole audience.

    Of several numbers that hold SMS the first decides that can be texted, else the first; without one, what is known
    of any.
    """
    numbers = _numbers(audience).subquery()
    held, handset = aliased(PhoneNumber), aliased(PhoneState)
    kinds = (
        Account.timezone,
        numbers.c.account_id.is_not(None),
        numbers.c.holder_id.is_not(None),
        handset.stopped_at_ms.is_not(None),
        handset.unreachable_at_ms.is_not(None),
        func.coalesce(numbers.c.stopped, 0),
        func.coalesce(numbers.c.elsewhere, 0),
    )
    query = (
        in_audience(select(func.count(), *kinds), audience)
        .select_from(Account)
        .outerjoin(numbers, numbers.c.account_id == Account.id)
        .outerjoin(held, held.id == numbers.c.holder_id)
        .outerjoin(handset, handset.number == held.number)
        .group_by(*kinds)
    )
    rows = db.session.execute(query)
    return [
        RoutingGroup(people, timezone, _representative_numbers(*map(bool, kind))) for people, timezone, *kind in rows
    ]


def sample_sms_holders(audience: Mapping[str, Any], holders: int, most: int) -> list[Recipient]:
    """People of the audience who hold SMS, evenly spread over all of them; there are `holders` of them."""
    holds = select(PhoneNumber.id).where(PhoneNumber.account_id == Account.id, _is_sms_enabled(PhoneNumber)).exists()
    place = func.row_number().over(order_by=Account.id).label("place")
    places = in_audience(select(Account.id, place), audience).where(holds).subquery()
    step = max(1, -(-holders // most))
    query = select(*RECIPIENT_COLUMNS).join(places, places.c.id == Account.id).where((places.c.place - 1) % step == 0)
    return [Recipient(*row) for row in db.session.execute(query.order_by(Account.id))]


def sample_recipients(audience: Mapping[str, Any], most: int) -> list[Recipient]:
    """Everybody in the audience; of more than `most`, so many evenly spread, and one of each account type."""
    place = func.row_number().over(order_by=Account.id).label("place")
    total = func.count().over().label("total")
    of_type = func.row_number().over(partition_by=Account.account_type, order_by=Account.id).label("of_type")
    places = in_audience(select(Account.id, place, total, of_type), audience).subquery()
    is_chosen = places.c.place * most // places.c.total != (places.c.place - 1) * most // places.c.total
    query = select(*RECIPIENT_COLUMNS).join(places, places.c.id == Account.id)
    return [
        Recipient(*row)
        for row in db.session.execute(query.where(is_chosen | (places.c.of_type == 1)).order_by(Account.id))
    ]


def _numbers(audience: Mapping[str, Any]) -> Any:
    """Of each account: the number that texts are for, whether any of its numbers said STOP or is held elsewhere."""
    elsewhere = aliased(PhoneNumber)
    can_be_texted = PhoneState.stopped_at_ms.is_(None) & PhoneState.unreachable_at_ms.is_(None)
    known = select(
        PhoneNumber.account_id,
        func.coalesce(
            func.min(case((_is_sms_enabled(PhoneNumber) & can_be_texted, PhoneNumber.id))),
            func.min(case((_is_sms_enabled(PhoneNumber), PhoneNumber.id))),
        ).label("holder_id"),
        func.max(case((PhoneState.stopped_at_ms.is_not(None), 1), else_=0)).label("stopped"),
        func.max(case((elsewhere.account_id != PhoneNumber.account_id, 1), else_=0)).label("elsewhere"),
    )
    return (
        in_audience(known.join(Account, Account.id == PhoneNumber.account_id), audience)
        .outerjoin(PhoneState, PhoneState.number == PhoneNumber.number)
        .outerjoin(elsewhere, (elsewhere.number == PhoneNumber.number) & _is_sms_enabled(elsewhere))
        .group_by(PhoneNumber.account_id)
    )


def _representative_numbers(
    numbered: bool, held: bool, held_stopped: bool, unreachable: bool, any_stopped: bool, elsewhere: bool
) -> tuple[RecipientPhone, ...]:
    if not numbered:
        return ()
    if held:
        return (RecipientPhone("", True, is_opted_out=held_stopped, is_unreachable=unreachable),)
    return (RecipientPhone("", False, receives_sms_elsewhere=elsewhere, is_opted_out=any_stopped),)


def _is_sms_enabled(phone: Any) -> ColumnElement[bool]:
    return phone.receives_sms == True  # type: ignore[no-any-return]  # noqa: E712  SQL, not Python

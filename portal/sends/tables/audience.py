"""Whom a send goes to, and what routing must know of each of them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from portal.accounts.tables.accounts import Account, find_by_external_ids
from portal.accounts.tables.phone_numbers import PhoneNumber, PhoneState
from portal.core.extensions import db
from portal.core.in_list import in_list
from portal.core.rules.routing import RecipientPhone


@dataclass(frozen=True)
class Recipient:
    """What a message needs of an account, without the weight of the account itself: there may be 100,000 of them."""

    id: int
    name: str
    email: str
    external_id: str
    account_type: str
    timezone: str


RECIPIENT_COLUMNS = (
    Account.id,
    Account.name,
    Account.email,
    Account.external_id,
    Account.account_type,
    Account.timezone,
)


def recipients_after(audience: Mapping[str, Any], after_id: int, limit: int) -> list[Recipient]:
    """The next recipients of an audience, by id. An audience is written as in the API."""
    query = in_audience(select(*RECIPIENT_COLUMNS), audience).where(Account.id > after_id)
    return [Recipient(*row) for row in db.session.execute(query.order_by(Account.id).limit(limit))]


def count_recipients(audience: Mapping[str, Any]) -> int:
    return db.session.scalar(in_audience(select(func.count(Account.id)), audience)) or 0


def unknown_external_ids(external_ids: Sequence[str]) -> list[str]:
    known = find_by_external_ids(external_ids)
    return [external_id for external_id in external_ids if external_id not in known]


def numbers_for_routing(account_ids: Sequence[int]) -> dict[int, list[RecipientPhone]]:
    """Account id to its numbers, the one that holds SMS first."""
    query = (
        select(
            PhoneNumber.account_id,
            PhoneNumber.number,
            PhoneNumber.receives_sms,
            PhoneState.stopped_at_ms,
            PhoneState.unreachable_at_ms,
        )
        .outerjoin(PhoneState, PhoneState.number == PhoneNumber.number)
        .where(PhoneNumber.account_id.in_(account_ids))
        .order_by(PhoneNumber.receives_sms.desc(), PhoneNumber.id)
    )
    rows = db.session.execute(query).all()
    holders = _sms_holders([row.number for row in rows if not row.receives_sms])
    found: dict[int, list[RecipientPhone]] = defaultdict(list)
    for account_id, number, holds, stopped, unreachable in rows:
        elsewhere = not holds and number in holders
        found[account_id].append(RecipientPhone(number, holds, elsewhere, stopped is not None, unreachable is not None))
    return found


def _sms_holders(numbers: Sequence[str]) -> dict[str, int]:
    if not numbers:
        return {}
    query = select(PhoneNumber.number, PhoneNumber.account_id).where(
        PhoneNumber.number.in_(set(numbers)),
        PhoneNumber.receives_sms == True,  # noqa: E712  SQL, not Python
    )
    return {number: account_id for number, account_id in db.session.execute(query)}


def in_audience(query: Any, audience: Mapping[str, Any]) -> Any:
    """A query of accounts narrowed to those that the audience means."""
    query = query.where(Account.active == True)  # noqa: E712  SQL, not Python
    if "account_type" in audience:
        return query.where(Account.account_type == audience["account_type"])
    if "external_ids" in audience:
        return query.where(in_list(Account.external_id, audience["external_ids"]))
    return query

"""Count and sample an audience in the database, so that 100,000 recipients need not be loaded."""

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
    """Recipients for whom `core.rules.routing.route_text` decides the same; `phones` stands for all of theirs."""

    count: int
    timezone: str
    phones: tuple[RecipientPhone, ...]


def routing_groups(audience: Mapping[str, Any]) -> list[RoutingGroup]:
    """If several phone numbers of an account receive texts, the first usable one counts, or else the first one."""
    phones = _phones_by_account(audience).subquery()
    enabled_phone, phone_state = aliased(PhoneNumber), aliased(PhoneState)
    properties = (
        Account.timezone,
        phones.c.account_id.is_not(None),
        phones.c.enabled_phone_id.is_not(None),
        phone_state.stopped_at_ms.is_not(None),
        phone_state.unreachable_at_ms.is_not(None),
        func.coalesce(phones.c.is_any_stopped, 0),
        func.coalesce(phones.c.is_enabled_elsewhere, 0),
    )
    query = (
        in_audience(select(func.count(), *properties), audience)
        .select_from(Account)
        .outerjoin(phones, phones.c.account_id == Account.id)
        .outerjoin(enabled_phone, enabled_phone.id == phones.c.enabled_phone_id)
        .outerjoin(phone_state, phone_state.number == enabled_phone.number)
        .group_by(*properties)
    )
    rows = [(count, timezone, map(bool, flags)) for count, timezone, *flags in db.session.execute(query)]
    return [RoutingGroup(count, timezone, _representative_phones(*flags)) for count, timezone, flags in rows]


def sample_sms_enabled(audience: Mapping[str, Any], total: int, limit: int) -> list[Recipient]:
    """An evenly spread sample of the `total` recipients who have enabled a phone number for texts."""
    enabled = select(PhoneNumber.id).where(PhoneNumber.account_id == Account.id, _is_sms_enabled(PhoneNumber))
    row_number = func.row_number().over(order_by=Account.id).label("row_number")
    rows = in_audience(select(Account.id, row_number), audience).where(enabled.exists()).subquery()
    return _recipients_in(rows, (rows.c.row_number - 1) % max(1, -(-total // limit)) == 0)


def sample_recipients(audience: Mapping[str, Any], limit: int) -> list[Recipient]:
    """About `limit` recipients, evenly spread and at least one of each account type; all if there are fewer."""
    row_number = func.row_number().over(order_by=Account.id).label("row_number")
    total = func.count().over().label("total")
    type_row = func.row_number().over(partition_by=Account.account_type, order_by=Account.id).label("type_row")
    rows = in_audience(select(Account.id, row_number, total, type_row), audience).subquery()
    is_sampled = rows.c.row_number * limit // rows.c.total != (rows.c.row_number - 1) * limit // rows.c.total
    return _recipients_in(rows, is_sampled | (rows.c.type_row == 1))


def _recipients_in(rows: Any, condition: ColumnElement[bool]) -> list[Recipient]:
    query = select(*RECIPIENT_COLUMNS).join(rows, rows.c.id == Account.id).where(condition).order_by(Account.id)
    return [Recipient(*row) for row in db.session.execute(query)]


def _phones_by_account(audience: Mapping[str, Any]) -> Any:
    """By account: the phone number that receives texts, and whether any number is stopped or enabled elsewhere."""
    elsewhere = aliased(PhoneNumber)
    is_usable = PhoneState.stopped_at_ms.is_(None) & PhoneState.unreachable_at_ms.is_(None)
    columns = select(
        PhoneNumber.account_id,
        func.coalesce(
            func.min(case((_is_sms_enabled(PhoneNumber) & is_usable, PhoneNumber.id))),
            func.min(case((_is_sms_enabled(PhoneNumber), PhoneNumber.id))),
        ).label("enabled_phone_id"),
        func.max(case((PhoneState.stopped_at_ms.is_not(None), 1), else_=0)).label("is_any_stopped"),
        func.max(case((elsewhere.account_id != PhoneNumber.account_id, 1), else_=0)).label("is_enabled_elsewhere"),
    )
    return (
        in_audience(columns.join(Account, Account.id == PhoneNumber.account_id), audience)
        .outerjoin(PhoneState, PhoneState.number == PhoneNumber.number)
        .outerjoin(elsewhere, (elsewhere.number == PhoneNumber.number) & _is_sms_enabled(elsewhere))
        .group_by(PhoneNumber.account_id)
    )


def _representative_phones(
    has_phone: bool, is_enabled: bool, is_stopped: bool, is_unreachable: bool, any_stopped: bool, elsewhere: bool
) -> tuple[RecipientPhone, ...]:
    if not has_phone:
        return ()
    if is_enabled:
        return (RecipientPhone("", True, is_opted_out=is_stopped, is_unreachable=is_unreachable),)
    return (RecipientPhone("", False, receives_sms_elsewhere=elsewhere, is_opted_out=any_stopped),)


def _is_sms_enabled(phone: Any) -> ColumnElement[bool]:
    return phone.receives_sms == True  # type: ignore[no-any-return]  # noqa: E712  SQL, not Python

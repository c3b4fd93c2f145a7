"""Count and sample an audience in the database, so that 100,000 recipients need not be loaded."""

from collections.abc import Callable, Mapping
from enum import IntEnum
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Select, Subquery, case, exists, func, literal, not_, null, select
from sqlalchemy import cast as sql_cast
from sqlalchemy.orm import aliased

from portal.accounts.rules.recipient_places import AREA_DIGITS
from portal.accounts.tables.accounts import RECIPIENT_COLUMNS, Account, Recipient
from portal.accounts.tables.phone_numbers import PhoneNumber, PhoneState
from portal.content.rules.analysis.merge_risks import RiskyFields
from portal.content.tables.topics import TopicOptOut
from portal.core.extensions import db
from portal.core.rules.routing import DEACTIVATED_CODE, RecipientPhone
from portal.core.statements import in_list
from portal.messages.tables.text_frequency import capped_numbers
from portal.sends.tables.audience import count_recipients, in_audience
from portal.sends.tables.value_combinations import value_columns

_LARGE = 20
"""An audience of more than this many samples is sampled without sorting it."""
_FACTOR, _PRIME = 7_919, 1_000_003
_AREA_FACTOR = 10**AREA_DIGITS


class PhoneStatus(IntEnum):
    """What `core.rules.routing.route_text` needs to know of all phone numbers of a recipient."""

    NO_NUMBER = 0
    USABLE = 1
    STOPPED = 2
    """A number is enabled for texts, but none that is can get one: the first of them is stopped."""
    UNREACHABLE = 3
    NOT_ENABLED = 4
    NOT_ENABLED_STOPPED = 5
    NOT_ENABLED_ELSEWHERE = 6
    DEACTIVATED = 7


def _phones(status: int, area: int) -> tuple[RecipientPhone, ...]:
    """They stand for the phone numbers of each recipient with this status."""
    chosen = f"+{area}" if area else ""
    return {
        PhoneStatus.NO_NUMBER: (),
        PhoneStatus.USABLE: (RecipientPhone(chosen, True),),
        PhoneStatus.STOPPED: (RecipientPhone("", True, is_opted_out=True),),
        PhoneStatus.UNREACHABLE: (RecipientPhone("", True, is_unreachable=True),),
        PhoneStatus.DEACTIVATED: (RecipientPhone("", True, is_unreachable=True, is_deactivated=True),),
        PhoneStatus.NOT_ENABLED: (RecipientPhone("", False),),
        PhoneStatus.NOT_ENABLED_STOPPED: (RecipientPhone("", False, is_opted_out=True),),
        PhoneStatus.NOT_ENABLED_ELSEWHERE: (RecipientPhone("", False, receives_sms_elsewhere=True),),
    }[PhoneStatus(status)]


class RoutingGroup(NamedTuple):
    """Recipients for whom `core.rules.routing.route_text` decides the same.

    `area` has the first digits of the number that gets their texts, 0 for none. It gets none until `capped_until_ms`.
    `is_topic_off` is 1 if they have switched off the topic.
    """

    timezone: str
    area: int
    status: int
    capped_until_ms: int | None
    is_topic_off: int

    @property
    def phones(self) -> tuple[RecipientPhone, ...]:
        return _phones(self.status, self.area)


def routing_groups(
    audience: Mapping[str, Any], cap: int | None, now_ms: int, topic_id: int | None = None
) -> list[tuple[RoutingGroup, int]]:
    """Each group with its number of people."""
    columns = _group_columns(_recipients(audience, cap, now_ms, topic_id).subquery())
    rows = db.session.execute(select(*columns, func.count()).group_by(*columns))
    return [(RoutingGroup(*row[:-1]), row[-1]) for row in rows]


def value_combinations(
    audience: Mapping[str, Any], fields: RiskyFields, limit: int
) -> tuple[list[tuple[int, tuple[str, ...]]], int]:
    """The most frequent combinations of values of the fields, each with its number of people; of how many in all."""
    columns = value_columns(fields)
    people = in_audience(select(*(column.label(name) for name, column in columns.items())), audience)
    values = list(people.select_from(Account).subquery().c)
    total = func.sum(func.count()).over()
    query = select(func.count(), total, *values).group_by(*values).order_by(func.count().desc(), *values).limit(limit)
    rows = db.session.execute(query).all()
    return [(row[0], tuple(row[2:])) for row in rows], int(rows[0][1]) if rows else 0


def recipients_in_groups(
    audience: Mapping[str, Any],
    is_chosen: Callable[[RoutingGroup], bool],
    after_id: int,
    limit: int,
    cap: int | None,
    now_ms: int,
    topic_id: int | None = None,
) -> list[Recipient]:
    """The next recipients by id of the groups that are chosen."""
    recipients = _recipients(audience, cap, now_ms, topic_id, after_id).subquery()
    query = select(recipients.c.id, *_group_columns(recipients)).order_by(recipients.c.id)
    is_chosen = lru_cache(maxsize=None)(is_chosen)
    ids = islice((row[0] for row in db.session.execute(query) if is_chosen(RoutingGroup(*row[1:]))), limit)
    people = select(*RECIPIENT_COLUMNS).where(in_list(Account.id, list(ids))).order_by(Account.id)
    return [Recipient(*row) for row in db.session.execute(people)]


def _group_columns(recipients: Subquery) -> tuple[ColumnElement[Any], ...]:
    return tuple(recipients.c[name] for name in RoutingGroup._fields)


def _recipients(
    audience: Mapping[str, Any], cap: int | None, now_ms: int, topic_id: int | None, after_id: int = 0
) -> Select[Any]:
    """The id of each recipient and the columns of `RoutingGroup`."""
    people = _recipient_statuses(audience).where(Account.id > after_id).subquery()
    area = func.coalesce(people.c.usable % _AREA_FACTOR, 0).label("area")
    columns = (people.c.id, people.c.timezone, area, people.c.status)
    query = select(*columns).select_from(people)
    until_ms: ColumnElement[Any] = null()
    if capped := capped_numbers(cap, now_ms) if cap else {}:
        query = query.outerjoin(PhoneNumber, PhoneNumber.id == people.c.usable // _AREA_FACTOR)
        until_ms = case(*((in_list(PhoneNumber.number, numbers), hour_ms) for hour_ms, numbers in capped.items()))
    is_topic_off: ColumnElement[int] = literal(0)
    if topic_id is not None:
        is_off = (TopicOptOut.account_id == people.c.id) & (TopicOptOut.topic_id == topic_id)
        query = query.outerjoin(TopicOptOut, is_off)
        is_topic_off = case((TopicOptOut.account_id.is_not(None), 1), else_=0)
    return query.add_columns(until_ms.label("capped_until_ms"), is_topic_off.label("is_topic_off"))


def _recipient_statuses(audience: Mapping[str, Any]) -> Any:
    """The id, time zone, `PhoneStatus` and usable number of each recipient, in one pass over accounts and numbers."""
    columns = (Account.id, Account.timezone, _phone_status().label("status"), _first_usable().label("usable"))
    return (
        in_audience(select(*columns).select_from(Account), audience)
        .outerjoin(PhoneNumber, PhoneNumber.account_id == Account.id)
        .outerjoin(PhoneState, PhoneState.number == PhoneNumber.number)
        .group_by(Account.id, Account.timezone)
    )


def _first_usable() -> ColumnElement[int]:
    """The id of the number that gets the texts, with the first digits of the number behind it."""
    area = sql_cast(func.substr(PhoneNumber.number, 2, AREA_DIGITS), BigInteger)
    return func.min(case((_is_usable(), PhoneNumber.id * _AREA_FACTOR + area)))


def _is_usable() -> ColumnElement[bool]:
    return _is_sms_enabled(PhoneNumber) & PhoneState.stopped_at_ms.is_(None) & PhoneState.unreachable_at_ms.is_(None)


def _phone_status() -> ColumnElement[int]:
    """As `route_text` chooses: the first enabled number that can get texts, or else the first enabled one."""
    is_enabled = _is_sms_enabled(PhoneNumber)
    is_stopped, is_deactivated = PhoneState.stopped_at_ms.is_not(None), PhoneState.unreachable_code == DEACTIVATED_CODE
    # the lowest id of an enabled number, with two last bits that say whether it is stopped or deactivated
    blocked = case((is_stopped, 1), (is_deactivated, 2), else_=0)
    first_enabled = func.min(case((is_enabled, PhoneNumber.id * 4 + blocked)))
    return case(
        (func.count(PhoneNumber.id) == 0, PhoneStatus.NO_NUMBER),
        (_any(_is_usable()), PhoneStatus.USABLE),
        (first_enabled % 4 == 1, PhoneStatus.STOPPED),
        (first_enabled % 4 == 2, PhoneStatus.DEACTIVATED),
        (first_enabled % 4 == 0, PhoneStatus.UNREACHABLE),
        (_any(is_stopped), PhoneStatus.NOT_ENABLED_STOPPED),
        (_any(not_(is_enabled) & _is_enabled_elsewhere()), PhoneStatus.NOT_ENABLED_ELSEWHERE),
        else_=PhoneStatus.NOT_ENABLED,
    )


def _any(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether it holds for one of the rows of a group."""
    return func.max(case((condition, 1), else_=0)) == 1


def _is_enabled_elsewhere() -> ColumnElement[bool]:
    elsewhere = aliased(PhoneNumber)
    return exists().where(elsewhere.number == PhoneNumber.number, _is_sms_enabled(elsewhere))


def sample_sms_enabled(audience: Mapping[str, Any], total: int, limit: int) -> list[Recipient]:
    """An evenly spread sample of the `total` recipients who have enabled a phone number for texts."""
    is_enabled = (
        select(PhoneNumber.id).where(PhoneNumber.account_id == Account.id, _is_sms_enabled(PhoneNumber)).exists()
    )
    if total > limit * _LARGE:
        return _sample_where(audience, is_enabled & _is_in_sample(total, limit))
    row_number = func.row_number().over(order_by=Account.id).label("row_number")
    rows = in_audience(select(Account.id, row_number), audience).where(is_enabled).subquery()
    return _recipients_in(rows, (rows.c.row_number - 1) % max(1, -(-total // limit)) == 0)


def sample_recipients(audience: Mapping[str, Any], limit: int) -> list[Recipient]:
    """About `limit` recipients, evenly spread and at least one of each account type; all if there are fewer."""
    total = count_recipients(audience)
    if total > limit * _LARGE:
        first_ids = in_audience(select(func.min(Account.id)), audience).group_by(Account.account_type)
        return _sample_where(audience, Account.id.in_(first_ids) | _is_in_sample(total, limit))
    row_number = func.row_number().over(order_by=Account.id).label("row_number")
    type_row = func.row_number().over(partition_by=Account.account_type, order_by=Account.id).label("type_row")
    rows = in_audience(select(Account.id, row_number, type_row), audience).subquery()
    is_sampled = rows.c.row_number * limit // total != (rows.c.row_number - 1) * limit // total
    return _recipients_in(rows, is_sampled | (rows.c.type_row == 1))


def _is_in_sample(total: int, limit: int) -> ColumnElement[bool]:
    """A scattered one of `total / limit` accounts. Unlike numbering them, it needs no sorting."""
    return Account.id * _FACTOR % _PRIME < _PRIME * limit // total


def _sample_where(audience: Mapping[str, Any], condition: ColumnElement[bool]) -> list[Recipient]:
    query = in_audience(select(*RECIPIENT_COLUMNS), audience).where(condition)
    return [Recipient(*row) for row in db.session.execute(query.order_by(Account.id))]


def _recipients_in(rows: Any, condition: ColumnElement[bool]) -> list[Recipient]:
    query = select(*RECIPIENT_COLUMNS).join(rows, rows.c.id == Account.id).where(condition).order_by(Account.id)
    return [Recipient(*row) for row in db.session.execute(query)]


def _is_sms_enabled(phone: Any) -> ColumnElement[bool]:
    return phone.receives_sms == True  # type: ignore[no-any-return]  # noqa: E712  SQL, not Python

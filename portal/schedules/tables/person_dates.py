"""The dates of people that a schedule runs on."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from sqlalchemy import BigInteger, Text, func, insert, literal, select

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.attributes import Attribute, AttributeValue
from portal.core.extensions import db
from portal.core.statements import refresh_statistics
from portal.schedules.tables.runs import ScheduleRun
from portal.sends.tables.audience import in_audience
from portal.sends.tables.schedule_recipients import ScheduleRecipient, was_reached

_MANY_ROWS = 1_000


def date_attributes() -> list[Attribute]:
    """In order of their labels."""
    query = select(Attribute).where(Attribute.kind == "date")
    return list(db.session.scalars(query.order_by(func.lower(Attribute.label), Attribute.id)))


def find_date_attribute(key: str) -> Attribute | None:
    return db.session.scalar(select(Attribute).where(Attribute.key == key, Attribute.kind == "date"))


def due_audience(
    audience: Mapping[str, Any], schedule_id: int, attribute_id: int, occasions: Sequence[tuple[int, date]]
) -> dict[str, Any]:
    """The people of the audience with one of these occasions, each an offset and the local day of the run."""
    dates = [[offset, (day + timedelta(days=offset)).isoformat()] for offset, day in occasions]
    return {**audience, "due": {"schedule": schedule_id, "attribute": attribute_id, "occasions": dates}}


def add_recipients(run: ScheduleRun, audience: Mapping[str, Any], zones: Sequence[str]) -> int:
    """Give the run to the people of an audience with one occasion, in these zones. Inside a transaction."""
    ((offset, day),) = audience["due"]["occasions"]
    columns = ("schedule_id", "account_id", "offset_days", "date", "run_id")
    values = (
        literal(run.schedule_id, BigInteger),
        Account.id,
        literal(offset, BigInteger),
        literal(day, Text),
        literal(run.id, BigInteger),
    )
    people = in_audience(select(*values), audience).where(Account.timezone.in_(zones))
    result: Any = db.session.execute(insert(ScheduleRecipient).from_select(columns, people))
    count = int(result.rowcount)
    if count >= _MANY_ROWS:
        refresh_statistics(ScheduleRecipient)
    return count


def count_people(
    schedule_id: int, audience: Mapping[str, Any], attribute_id: int, offset: int, first: date, last: date
) -> list[tuple[str, date, int]]:
    """How many people of each time zone have an occasion on each local day from `first` to `last`.

    If the days are far apart, people whose date has moved may be among them.
    """
    shift = timedelta(days=offset)
    first_date, last_date = (first + shift).isoformat(), (last + shift).isoformat()
    columns = (Account.timezone, AttributeValue.comparable)
    query = (
        in_audience(select(*columns, func.count()).select_from(AttributeValue), audience)
        .join(Account, Account.id == AttributeValue.account_id)
        .where(AttributeValue.attribute_id == attribute_id, AttributeValue.comparable.between(first_date, last_date))
        .where(~was_reached(schedule_id, offset, first_date, last_date))
        .group_by(*columns)
    )
    return [(zone, date.fromisoformat(day) - shift, count) for zone, day, count in db.session.execute(query)]

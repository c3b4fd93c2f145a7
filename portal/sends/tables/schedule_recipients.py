"""Who got which occasion of a schedule that depends on a date of each person, and who is due next.

A row stands for one occasion of one person. Once it exists, neither that occasion nor an earlier one of the same period
goes to the person again, even if the date moves. A date that moves by `PERIOD_DAYS` or more begins a new period.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from sqlalchemy import ColumnElement, ForeignKey, Index, Select, Text, delete, or_, select
from sqlalchemy.orm import Mapped, mapped_column

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.attributes import AttributeValue
from portal.core.column_types import STRICT, BigIntKey
from portal.core.extensions import Base, db

PERIOD_DAYS = 180


class ScheduleRecipient(Base):
    """`offset_days` before `date`, the date of the person at that time."""

    __tablename__ = "schedule_recipient"
    __table_args__ = (Index("ix_schedule_recipient_run", "run_id", "account_id"), STRICT)

    schedule_id: Mapped[int] = mapped_column(ForeignKey("schedule.id"), primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), primary_key=True)
    offset_days: Mapped[int] = mapped_column(BigIntKey, primary_key=True, autoincrement=False)
    date: Mapped[str] = mapped_column(Text, primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("schedule_run.id"))


def people_of_run(run_id: int) -> Select[Any]:
    return select(ScheduleRecipient.account_id).where(ScheduleRecipient.run_id == run_id)


def release_people(run_id: int) -> None:
    """Nothing was sent to them, so that they are due as before. Inside a transaction."""
    db.session.execute(delete(ScheduleRecipient).where(ScheduleRecipient.run_id == run_id))


def is_due(due: Mapping[str, Any]) -> ColumnElement[bool]:
    """`due` names the `schedule`, the `attribute` by id, and `occasions`: pairs of an offset and a date."""
    return or_(*(_is_due_on(due, offset_days, day) for offset_days, day in due["occasions"]))


def _is_due_on(due: Mapping[str, Any], offset_days: int, day: str) -> ColumnElement[bool]:
    has_date = select(AttributeValue.account_id).where(
        AttributeValue.attribute_id == due["attribute"], AttributeValue.comparable == day
    )
    return Account.id.in_(has_date) & ~was_reached(due["schedule"], offset_days, day, day)


def was_reached(schedule_id: int, offset_days: int, first_day: str, last_day: str) -> ColumnElement[bool]:
    """Whether an account got this occasion, or a later one of the same period; for dates between these days."""
    begins, ends = date.fromisoformat(last_day), date.fromisoformat(first_day)
    return (
        select(ScheduleRecipient.account_id)
        .where(
            ScheduleRecipient.schedule_id == schedule_id,
            ScheduleRecipient.account_id == Account.id,
            ScheduleRecipient.offset_days <= offset_days,
            ScheduleRecipient.date > (begins - timedelta(days=PERIOD_DAYS)).isoformat(),
            ScheduleRecipient.date < (ends + timedelta(days=PERIOD_DAYS)).isoformat(),
        )
        .exists()
    )

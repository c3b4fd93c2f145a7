"""Schedules, and which of them the scheduler must look at."""

from typing import Any

from sqlalchemy import ForeignKey, Index, Text, select, update
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.accounts.tables.accounts import Account
from portal.content.tables.templates import Template
from portal.core.column_types import STRICT, BigIntKey, Json, Millis
from portal.core.extensions import Base, db
from portal.core.keyset import Keyset, Slice
from portal.core.statements import updated_count
from portal.schedules.rules.lateness import LatePolicy
from portal.schedules.rules.schedule_states import ScheduleState
from portal.schedules.rules.timing import FixedTiming, RelativeTiming, ScheduleKind
from portal.schedules.rules.timing_input import read_fixed, read_relative


class Schedule(Base):
    """`kind` is a `ScheduleKind`, `state` a `ScheduleState`, and `timing` is as entered (`rules.timing_input`).

    Runs that came due by `active_from_ms` are not sent, nor are those more than `late_hours` late. All runs due by
    `checked_through_ms` have been dealt with. `version` counts changes, so that two people do not overwrite each other.
    Whoever changed it last is the author of its sends, who cannot approve them.
    """

    __tablename__ = "schedule"
    __table_args__ = (Index("ix_schedule_next_check", "state", "next_check_at_ms"), STRICT)

    id: Mapped[int] = mapped_column(BigIntKey, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    template_id: Mapped[int] = mapped_column(ForeignKey("template.id"))
    audience: Mapped[Any] = mapped_column(Json)
    data: Mapped[Any] = mapped_column(Json, default=dict)
    kind: Mapped[str] = mapped_column(Text)
    timing: Mapped[Any] = mapped_column(Json)
    late_hours: Mapped[int]
    state: Mapped[str] = mapped_column(Text, default=ScheduleState.ACTIVE)
    version: Mapped[int] = mapped_column(default=1)
    request_key: Mapped[str | None] = mapped_column(Text, unique=True)
    active_from_ms: Mapped[int] = mapped_column(Millis)
    checked_through_ms: Mapped[int] = mapped_column(Millis)
    next_check_at_ms: Mapped[int | None] = mapped_column(Millis)
    created_at_ms: Mapped[int] = mapped_column(Millis)
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    changed_by_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))

    template: Mapped[Template] = relationship()
    created_by: Mapped[Account | None] = relationship(foreign_keys=created_by_id)

    @property
    def is_relative(self) -> bool:
        return self.kind == ScheduleKind.RELATIVE

    @property
    def fixed_timing(self) -> FixedTiming:
        return read_fixed(self.kind, self.timing)

    @property
    def relative_timing(self) -> RelativeTiming:
        return read_relative(self.timing)

    @property
    def late_policy(self) -> LatePolicy:
        return LatePolicy(self.active_from_ms, self.late_hours)


def find_by_request_key(key: str) -> Schedule | None:
    return db.session.scalar(select(Schedule).where(Schedule.request_key == key))


def find_open_schedule_of_form(key: str) -> Schedule | None:
    """The newest that has not ended and whose request key is `key` with the digest of any values behind it."""
    query = select(Schedule).where(Schedule.request_key.startswith(f"{key}:", autoescape=True))
    query = query.where(Schedule.state != ScheduleState.ENDED)
    return db.session.scalars(query.order_by(Schedule.id.desc()).limit(1)).first()


def schedules_page(keyset: Keyset) -> Slice[Schedule]:
    return keyset.fetch(select(Schedule))


def schedules_in_state(*states: str) -> list[Schedule]:
    return list(db.session.scalars(select(Schedule).where(Schedule.state.in_(states)).order_by(Schedule.id)))


def due_schedule_ids(now_ms: int) -> list[int]:
    query = select(Schedule.id).where(Schedule.state == ScheduleState.ACTIVE, Schedule.next_check_at_ms <= now_ms)
    return list(db.session.scalars(query.order_by(Schedule.next_check_at_ms)))


def lock_schedule(schedule_id: int) -> Schedule | None:
    """Inside a transaction. Whoever holds the lock plans the runs; others wait and then find them planned."""
    return db.session.get(Schedule, schedule_id, with_for_update=True, populate_existing=True)


def restart_all(now_ms: int) -> int:
    """Of runs that came due before now, send none. Inside a transaction; the number of active schedules."""
    return updated_count(update(Schedule).where(Schedule.state == ScheduleState.ACTIVE).values(active_from_ms=now_ms))


def schedules_of_template(template_id: int) -> list[Schedule]:
    """Those that have not ended."""
    query = select(Schedule).where(Schedule.template_id == template_id, Schedule.state != ScheduleState.ENDED)
    return list(db.session.scalars(query.order_by(Schedule.id)))


def schedules_with_audience(saved_audience_id: int) -> list[Schedule]:
    """Those that have not ended and go to this saved audience."""
    rows = schedules_in_state(ScheduleState.ACTIVE, ScheduleState.PAUSED)
    return [row for row in rows if row.audience.get("saved_audience") == saved_audience_id]

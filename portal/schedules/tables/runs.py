"""The runs of schedules: one row for each occasion that was sent, skipped or missed."""

from collections.abc import Collection

from sqlalchemy import ForeignKey, Index, Text, UniqueConstraint, func, select, update
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship

from portal.core.column_types import STRICT, BigIntKey, Millis
from portal.core.extensions import Base, db
from portal.core.statements import updated_count
from portal.schedules.rules.schedule_states import ENDED, RESTORED, RunState
from portal.schedules.tables.schedules import Schedule
from portal.sends.rules.send_state import SendState
from portal.sends.tables.sends import Send


class ScheduleRun(Base):
    """`key` is the local day of an occasion. Where each person has a date of their own, it is the time of the run.

    `recipients` is known for such runs; `reason` says why nothing was sent.
    `requested_by_id` is who sent it before its time.
    """

    __tablename__ = "schedule_run"
    __table_args__ = (
        UniqueConstraint("schedule_id", "key"),
        Index("ix_schedule_run_due", "schedule_id", "due_at_ms"),
        Index("ix_schedule_run_state", "state", "id"),
        Index("ix_schedule_run_send", "send_id"),
        STRICT,
    )

    id: Mapped[int] = mapped_column(BigIntKey, primary_key=True)
    schedule_id: Mapped[int] = mapped_column(ForeignKey("schedule.id"))
    key: Mapped[str] = mapped_column(Text)
    due_at_ms: Mapped[int] = mapped_column(Millis)
    state: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text, default="")
    recipients: Mapped[int | None]
    send_id: Mapped[int | None] = mapped_column(ForeignKey("send.id"))
    created_at_ms: Mapped[int] = mapped_column(Millis)
    requested_by_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))

    schedule: Mapped[Schedule] = relationship()
    send: Mapped[Send | None] = relationship()

    @property
    def request_key(self) -> str:
        """Makes the send of this run once, however often it is tried."""
        return f"schedule:{self.schedule_id}:{self.key}"


def add_run(
    schedule_id: int, key: str, due_at_ms: int, state: str, now_ms: int, recipients: int | None = None
) -> ScheduleRun:
    """Inside a transaction."""
    columns = {"schedule_id": schedule_id, "key": key, "due_at_ms": due_at_ms, "state": state}
    run = ScheduleRun(**columns, recipients=recipients, created_at_ms=now_ms)
    db.session.add(run)
    db.session.flush()
    return run


def delete_run(run: ScheduleRun) -> None:
    db.session.delete(run)


def run_keys(schedule_id: int, since_key: str = "", state: str = "") -> set[str]:
    """The keys from `since_key` on, in their order as text."""
    query = select(ScheduleRun.key).where(ScheduleRun.schedule_id == schedule_id, ScheduleRun.key >= since_key)
    return set(db.session.scalars(query.where(ScheduleRun.state == state) if state else query))


def planned_run_ids() -> list[int]:
    query = select(ScheduleRun.id).where(ScheduleRun.state == RunState.PLANNED).order_by(ScheduleRun.id)
    return list(db.session.scalars(query))


def finish_run(run_id: int, state: str, reason: str = "", send_id: int | None = None) -> bool:
    """Inside a transaction. False if the run is no longer planned."""
    query = update(ScheduleRun).where(ScheduleRun.id == run_id, ScheduleRun.state == RunState.PLANNED)
    return updated_count(query.values(state=state, reason=reason, send_id=send_id)) > 0


def hold_planned_runs() -> None:
    """After a restore, runs that were about to be sent may have been sent. Inside a transaction."""
    query = update(ScheduleRun).where(ScheduleRun.state == RunState.PLANNED)
    updated_count(query.values(state=RunState.MISSED, reason=RESTORED))


def hold_planned_runs_of(schedule_id: int) -> None:
    """The schedule ends before they have begun. Inside a transaction."""
    query = update(ScheduleRun).where(ScheduleRun.schedule_id == schedule_id, ScheduleRun.state == RunState.PLANNED)
    updated_count(query.values(state=RunState.MISSED, reason=ENDED))


def unapproved_send_ids(run: ScheduleRun) -> list[int]:
    """Sends of earlier runs of the schedule, to its whole audience, that wait for approval."""
    query = select(Send.id).join(ScheduleRun, ScheduleRun.send_id == Send.id)
    query = query.where(ScheduleRun.schedule_id == run.schedule_id, ScheduleRun.recipients.is_(None))
    return list(db.session.scalars(query.where(ScheduleRun.id < run.id, Send.state == SendState.AWAITING_APPROVAL)))


def latest_runs(schedule_id: int, limit: int) -> list[ScheduleRun]:
    """With their sends."""
    query = select(ScheduleRun).options(joinedload(ScheduleRun.send)).where(ScheduleRun.schedule_id == schedule_id)
    return list(db.session.scalars(query.order_by(ScheduleRun.due_at_ms.desc(), ScheduleRun.id.desc()).limit(limit)))


def runs_between(begin_ms: int, end_ms: int) -> list[ScheduleRun]:
    """Runs of all schedules due from `begin_ms` on and before `end_ms`, with their schedules and sends, in order."""
    query = select(ScheduleRun).options(joinedload(ScheduleRun.schedule), joinedload(ScheduleRun.send))
    query = query.where(ScheduleRun.due_at_ms >= begin_ms, ScheduleRun.due_at_ms < end_ms)
    return list(db.session.scalars(query.order_by(ScheduleRun.due_at_ms, ScheduleRun.id)))


def count_unsuccessful(schedule_ids: Collection[int], since_ms: int) -> dict[int, int]:
    """Runs of each schedule that failed or were missed since then."""
    query = select(ScheduleRun.schedule_id, func.count()).where(
        ScheduleRun.schedule_id.in_(schedule_ids),
        ScheduleRun.due_at_ms >= since_ms,
        ScheduleRun.state.in_((RunState.FAILED, RunState.MISSED)),
    )
    return {schedule_id: count for schedule_id, count in db.session.execute(query.group_by(ScheduleRun.schedule_id))}


def run_of_send(send_id: int) -> ScheduleRun | None:
    """With its schedule; None if no schedule made the send."""
    query = select(ScheduleRun).options(joinedload(ScheduleRun.schedule)).where(ScheduleRun.send_id == send_id)
    return db.session.scalar(query)

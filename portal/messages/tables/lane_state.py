"""The four lanes: urgent and bulk, of emails and of texts."""

from typing import Any, cast

from sqlalchemy import CursorResult, Text, select, update
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.column_types import STRICT, BigIntKey, Millis
from portal.core.extensions import Base, db


class LaneState(Base):
    """`queue_position` is how far the lane has progressed, in messages. It is paused while `paused_at_ms` is set.

    New sends start from there, so that sends share the lane.
    """

    __tablename__ = "lane"
    __table_args__ = (STRICT,)

    channel: Mapped[str] = mapped_column(Text, primary_key=True)
    lane: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    queue_position: Mapped[int] = mapped_column(BigIntKey, default=0)
    paused_at_ms: Mapped[int | None] = mapped_column(Millis)
    paused_by_id: Mapped[int | None] = mapped_column(BigIntKey)


def all_lanes() -> list[LaneState]:
    return list(db.session.scalars(select(LaneState).order_by(LaneState.channel.desc(), LaneState.lane)))


def running_lanes(channel: str) -> tuple[int, ...]:
    """The lanes of a channel that are not paused, urgent first."""
    query = select(LaneState.lane).where(LaneState.channel == channel, LaneState.paused_at_ms.is_(None))
    return tuple(db.session.scalars(query.order_by(LaneState.lane)))


def lane_position(channel: str, lane: int) -> int:
    return (
        db.session.scalar(select(LaneState.queue_position).where(LaneState.channel == channel, LaneState.lane == lane))
        or 0
    )


def advance_lane(channel: str, lane: int, queue_position: int) -> None:
    """Move the lane forward to this position. Inside a transaction."""
    query = update(LaneState).where(
        LaneState.channel == channel, LaneState.lane == lane, LaneState.queue_position < queue_position
    )
    db.session.execute(query.values(queue_position=queue_position), execution_options={"synchronize_session": False})


def set_paused(channel: str, lane: int, at_ms: int | None, by_id: int | None) -> bool:
    """Pause or resume a lane; False if it already was. Inside a transaction."""
    would_change = LaneState.paused_at_ms.is_(None) if at_ms is not None else LaneState.paused_at_ms.is_not(None)
    query = update(LaneState).where(LaneState.channel == channel, LaneState.lane == lane, would_change)
    result = db.session.execute(query.values(paused_at_ms=at_ms, paused_by_id=by_id))
    return cast(CursorResult[Any], result).rowcount > 0

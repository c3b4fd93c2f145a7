"""The four lanes: urgent and bulk, of emails and of texts."""

from collections.abc import Iterable, Mapping

from sqlalchemy import Text, select, update
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.column_types import STRICT, BigIntKey, Millis
from portal.core.extensions import Base, db
from portal.core.statements import updated_count


class LaneState(Base):
    """Paused while `paused_at_ms` is set. New sends start from `queue_position`, so that sends share the lane."""

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
    query = select(LaneState.queue_position).where(LaneState.channel == channel, LaneState.lane == lane)
    return db.session.scalar(query) or 0


def advance_lanes(channel: str, taken: Iterable[tuple[int, int]], latest: Mapping[int, int] | None = None) -> None:
    """Move each lane forward to the last position taken (pairs of lane and position), `latest` at most."""
    for lane, last in dict(sorted(taken)).items():
        position = min(last, (latest or {}).get(lane, last))
        query = update(LaneState).where(LaneState.channel == channel, LaneState.lane == lane)
        updated_count(query.where(LaneState.queue_position < position).values(queue_position=position))


def lock_lane(channel: str, lane: int) -> None:
    """Until the end of the transaction, no other claim decides about messages of the lane."""
    query = select(LaneState.lane).where(LaneState.channel == channel, LaneState.lane == lane)
    db.session.execute(query.with_for_update())


def set_paused(channel: str, lane: int, at_ms: int | None, by_id: int | None) -> bool:
    """Pause or resume a lane; False if it already was. Inside a transaction."""
    would_change = LaneState.paused_at_ms.is_(None) if at_ms is not None else LaneState.paused_at_ms.is_not(None)
    query = update(LaneState).where(LaneState.channel == channel, LaneState.lane == lane, would_change)
    return updated_count(query.values(paused_at_ms=at_ms, paused_by_id=by_id)) > 0

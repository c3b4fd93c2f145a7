"""Totals of deliveries, kept by triggers in the transaction of each change (ADR 42), so that pages count nothing.

What retention deletes stays in the totals.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Index, Text, func, select, union_all
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.column_types import STRICT, BigIntKey
from portal.core.extensions import Base, db

HOUR_MS = 3_600_000


class DeliveryTotal(Base):
    """How many deliveries there are of one kind, and their segments; the sum over `shard` (PostgreSQL's sessions).

    `send_id` is 0 without a send, `hour` is the delivery's creation in hours since 1970, `state` is the state that
    pages show (`core.rules.delivery_status.displayed_state`), `reason` is empty except for what was skipped. The
    deleted ones are those among them that are no longer in the database.
    """

    __tablename__ = "delivery_total"
    __table_args__ = (
        Index("ix_delivery_total_hour", "hour"),
        Index("ix_delivery_total_state", "state", "channel"),
        STRICT | {"sqlite_with_rowid": False},
    )

    send_id: Mapped[int] = mapped_column(BigIntKey, primary_key=True, autoincrement=False)
    channel: Mapped[str] = mapped_column(Text, primary_key=True)
    hour: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    lane: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    state: Mapped[str] = mapped_column(Text, primary_key=True)
    reason: Mapped[str] = mapped_column(Text, primary_key=True)
    shard: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    count: Mapped[int] = mapped_column(BigIntKey, server_default="0")
    segments: Mapped[int] = mapped_column(BigIntKey, server_default="0")
    deleted_count: Mapped[int] = mapped_column(BigIntKey, server_default="0")
    deleted_segments: Mapped[int] = mapped_column(BigIntKey, server_default="0")


class EarlierTotal(Base):
    """How many deliveries there are that were created before `until_hour`, which is the same in all rows.

    The scheduler counts them anew each hour. States of older messages hardly change, so what all time says may be an
    hour late about those.
    """

    __tablename__ = "earlier_total"
    __table_args__ = (STRICT,)

    channel: Mapped[str] = mapped_column(Text, primary_key=True)
    state: Mapped[str] = mapped_column(Text, primary_key=True)
    count: Mapped[int] = mapped_column(BigIntKey)
    until_hour: Mapped[int]


@dataclass(frozen=True)
class Total:
    count: int
    segments: int


def totals(
    by: tuple[str, ...],
    *,
    send_ids: Collection[int] | None = None,
    since_hour: int | None = None,
    until_hour: int | None = None,
    channel: str | None = None,
    states: Collection[str] | None = None,
) -> dict[tuple[Any, ...], Total]:
    """Totals by columns of `DeliveryTotal`, without those that are zero. `until_hour` is not included."""
    columns = [getattr(DeliveryTotal, name) for name in by]
    count, segments = func.sum(DeliveryTotal.count), func.sum(DeliveryTotal.segments)
    query = select(count, segments, *columns).group_by(*columns).having(count != 0)
    if send_ids is not None:
        query = query.where(DeliveryTotal.send_id.in_(send_ids))
    if since_hour is not None:
        query = query.where(DeliveryTotal.hour >= since_hour)
    if until_hour is not None:
        query = query.where(DeliveryTotal.hour < until_hour)
    if channel is not None:
        query = query.where(DeliveryTotal.channel == channel)
    if states is not None:
        query = query.where(DeliveryTotal.state.in_(states))
    return {tuple(key): Total(int(number), int(size)) for number, size, *key in db.session.execute(query)}


def all_time_counts() -> dict[tuple[str, str], int]:
    """Channel and state to count over all deliveries, those that are deleted included, however many sends there were.

    One statement, since the hour at which the two parts meet may move in between.
    """
    until_hour = select(func.coalesce(func.max(EarlierTotal.until_hour), 0)).scalar_subquery()
    earlier = select(EarlierTotal.channel, EarlierTotal.state, EarlierTotal.count)
    later = select(DeliveryTotal.channel, DeliveryTotal.state, DeliveryTotal.count)
    rows = union_all(earlier, later.where(DeliveryTotal.hour >= until_hour)).subquery()
    count = func.sum(rows.c.count)
    query = select(rows.c.channel, rows.c.state, count).group_by(rows.c.channel, rows.c.state).having(count != 0)
    return {(channel, state): int(number) for channel, state, number in db.session.execute(query)}

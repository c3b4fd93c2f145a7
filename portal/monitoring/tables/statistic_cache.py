"""What the days before yesterday add up to, kept by time zone, because their days differ (ADR 48)."""

from typing import Any

from sqlalchemy import Text, select, update
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.column_types import STRICT, Json, Millis
from portal.core.extensions import Base, db
from portal.core.statements import updated_count, upsert


class StatisticCache(Base):
    """`day` was today when it was computed; from the next day on, it is of no use."""

    __tablename__ = "statistic_cache"
    __table_args__ = (STRICT,)

    zone: Mapped[str] = mapped_column(Text, primary_key=True)
    day: Mapped[str] = mapped_column(Text)
    computed_at_ms: Mapped[int] = mapped_column(Millis)
    used_at_ms: Mapped[int] = mapped_column(Millis)
    value: Mapped[Any] = mapped_column(Json)


def find_cache(zone: str) -> StatisticCache | None:
    return db.session.get(StatisticCache, zone, populate_existing=True)


def zones_used_since(since_ms: int) -> list[str]:
    query = select(StatisticCache.zone).where(StatisticCache.used_at_ms >= since_ms)
    return list(db.session.scalars(query.order_by(StatisticCache.zone)))


def store_cache(zone: str, day: str, value: Any, now_ms: int, used_at_ms: int) -> None:
    row = {"zone": zone, "day": day, "value": value, "computed_at_ms": now_ms, "used_at_ms": used_at_ms}
    upsert(StatisticCache, row, ["zone"])


def mark_used(zone: str, now_ms: int) -> None:
    updated_count(update(StatisticCache).where(StatisticCache.zone == zone).values(used_at_ms=now_ms))

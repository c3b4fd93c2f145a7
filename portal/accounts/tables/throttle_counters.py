"""Counters of sign-in and reset attempts, in the database so that they survive a restart."""

from collections.abc import Collection

from sqlalchemy import Index, Text, delete, func, select, text, update
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.column_types import STRICT, Millis
from portal.core.extensions import Base, db


class ThrottleCounter(Base):
    """`key` is a kind from `accounts.rules.throttle_policy`, and a keyed hash of what is counted."""

    __tablename__ = "throttle_counter"
    __table_args__ = (Index("ix_throttle_counter_last_attempt", "last_attempt_at_ms"), STRICT)

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    count: Mapped[int] = mapped_column(default=0)
    last_attempt_at_ms: Mapped[int] = mapped_column(Millis)


def lock_counters() -> None:
    """Lock out other writers until the transaction ends. SQLite has a single writer anyway."""
    if db.session.get_bind().dialect.name == "postgresql":
        db.session.execute(text("LOCK TABLE throttle_counter IN SHARE ROW EXCLUSIVE MODE"))


def find_counters(keys: Collection[str]) -> dict[str, ThrottleCounter]:
    query = select(ThrottleCounter).where(ThrottleCounter.key.in_(keys)).execution_options(populate_existing=True)
    return {row.key: row for row in db.session.scalars(query)}


def delete_counters(keys: Collection[str]) -> None:
    db.session.execute(delete(ThrottleCounter).where(ThrottleCounter.key.in_(keys)))


def decrement_counters(keys: Collection[str]) -> None:
    query = update(ThrottleCounter).where(ThrottleCounter.key.in_(keys), ThrottleCounter.count > 0)
    db.session.execute(query.values(count=ThrottleCounter.count - 1))


def delete_counters_before(at_ms: int) -> None:
    db.session.execute(delete(ThrottleCounter).where(ThrottleCounter.last_attempt_at_ms < at_ms))


def delete_oldest_counters(limit: int) -> None:
    """Keep the newest `limit` rows."""
    excess = (db.session.scalar(select(func.count()).select_from(ThrottleCounter)) or 0) - limit
    if excess > 0:
        oldest = select(ThrottleCounter.key).order_by(ThrottleCounter.last_attempt_at_ms).limit(excess)
        db.session.execute(delete(ThrottleCounter).where(ThrottleCounter.key.in_(oldest)))

"""How often something went wrong or was asked for, and when last: kept here so that no restart forgets it."""

from collections.abc import Collection

from sqlalchemy import Index, Text, delete, func, select, text, update
from sqlalchemy.orm import Mapped, mapped_column

from portal.extensions import Base, db
from portal.models.types import STRICT, Millis


class Throttle(Base):
    """`key` is a kind of `domain.throttling` and a keyed hash of what is counted."""

    __tablename__ = "throttle"
    __table_args__ = (Index("ix_throttle_last_at_ms", "last_at_ms"), STRICT)

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    times: Mapped[int] = mapped_column(default=0)
    last_at_ms: Mapped[int] = mapped_column(Millis)


def lock() -> None:
    """Inside a transaction: nobody else counts until it ends. SQLite has one writer at a time as it is."""
    if db.session.get_bind().dialect.name == "postgresql":
        db.session.execute(text("LOCK TABLE throttle IN SHARE ROW EXCLUSIVE MODE"))


def counted(keys: Collection[str]) -> dict[str, Throttle]:
    query = select(Throttle).where(Throttle.key.in_(keys)).execution_options(populate_existing=True)
    return {row.key: row for row in db.session.scalars(query)}


def forget(keys: Collection[str]) -> None:
    db.session.execute(delete(Throttle).where(Throttle.key.in_(keys)))


def give_back(keys: Collection[str]) -> None:
    """One try less of each."""
    query = update(Throttle).where(Throttle.key.in_(keys), Throttle.times > 0)
    db.session.execute(query.values(times=Throttle.times - 1))


def forget_before(at_ms: int) -> None:
    db.session.execute(delete(Throttle).where(Throttle.last_at_ms < at_ms))


def keep_newest(most: int) -> None:
    """Rows past so many go, the oldest first."""
    over = (db.session.scalar(select(func.count()).select_from(Throttle)) or 0) - most
    if over > 0:
        oldest = select(Throttle.key).order_by(Throttle.last_at_ms).limit(over)
        db.session.execute(delete(Throttle).where(Throttle.key.in_(oldest)))

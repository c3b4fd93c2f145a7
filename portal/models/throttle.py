"""How often something went wrong or was asked for, and when last: kept here so that no restart forgets it."""

from sqlalchemy import Text, delete, select
from sqlalchemy.orm import Mapped, mapped_column

from portal.extensions import Base, db
from portal.models.types import STRICT, Millis


class Throttle(Base):
    """`key` names what is counted: a sign-in name (hashed), a caller's address, an account's reset mails."""

    __tablename__ = "throttle"
    __table_args__ = (STRICT,)

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    times: Mapped[int] = mapped_column(default=0)
    last_at_ms: Mapped[int] = mapped_column(Millis)


def counted(keys: list[str]) -> list[Throttle]:
    return list(db.session.scalars(select(Throttle).where(Throttle.key.in_(keys))))


def forget(keys: list[str]) -> None:
    db.session.execute(delete(Throttle).where(Throttle.key.in_(keys)))


def forget_before(at_ms: int) -> None:
    db.session.execute(delete(Throttle).where(Throttle.last_at_ms < at_ms))

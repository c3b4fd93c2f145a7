"""What the last verification of each log found."""

from sqlalchemy import Text, select
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.column_types import STRICT, BigIntKey, Millis
from portal.core.extensions import Base, db


class LogVerification(Base):
    """`reason` is empty if the log was unbroken; otherwise `row_id` is the first row that does not fit."""

    __tablename__ = "log_verification"
    __table_args__ = (STRICT,)

    log: Mapped[str] = mapped_column(Text, primary_key=True)
    at_ms: Mapped[int] = mapped_column(Millis)
    row_count: Mapped[int] = mapped_column(BigIntKey)
    row_id: Mapped[int] = mapped_column(BigIntKey)
    reason: Mapped[str] = mapped_column(Text)


def last_verifications() -> dict[str, LogVerification]:
    return {row.log: row for row in db.session.scalars(select(LogVerification))}

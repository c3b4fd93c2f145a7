"""The verdicts of the hourly diagnostics."""

from collections.abc import Mapping

from sqlalchemy import Text, func, select
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.column_types import STRICT, Millis
from portal.core.extensions import Base, db
from portal.core.statements import upsert
from portal.monitoring.rules.check_changes import KnownVerdict


class CheckVerdict(Base):
    """`worse_since_ms` is when the check, which had passed, began to fail."""

    __tablename__ = "check_verdict"
    __table_args__ = (STRICT,)

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    verdict: Mapped[str] = mapped_column(Text)
    checked_at_ms: Mapped[int] = mapped_column(Millis)
    worse_since_ms: Mapped[int | None] = mapped_column(Millis)


def last_checked_ms() -> int | None:
    return db.session.scalar(select(func.max(CheckVerdict.checked_at_ms)))


def known_verdicts() -> dict[str, KnownVerdict]:
    rows = db.session.execute(select(CheckVerdict.name, CheckVerdict.verdict, CheckVerdict.worse_since_ms))
    return {name: KnownVerdict(verdict, worse_since_ms) for name, verdict, worse_since_ms in rows}  # type: ignore[arg-type]


def store_verdicts(verdicts: Mapping[str, KnownVerdict], now_ms: int) -> None:
    for name, known in verdicts.items():
        values = {"verdict": known.verdict, "worse_since_ms": known.worse_since_ms}
        upsert(CheckVerdict, {"name": name, "checked_at_ms": now_ms, **values}, ["name"])


def worse_checks() -> list[str]:
    query = select(CheckVerdict.name).where(CheckVerdict.worse_since_ms.is_not(None))
    return list(db.session.scalars(query.order_by(CheckVerdict.name)))

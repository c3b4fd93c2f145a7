"""The days whose list of deactivated numbers has been read, or could not be. The lists themselves are not stored."""

from collections.abc import Sequence

from sqlalchemy import Text, delete, func, select
from sqlalchemy.orm import Mapped, mapped_column

from portal.accounts.tables.phone_numbers import PhoneNumber
from portal.consent.rules.consent_state import EventKind
from portal.consent.tables.ledger import ConsentEvent
from portal.core.column_types import STRICT, Millis
from portal.core.extensions import Base, db
from portal.core.statements import in_list, upsert


class DeactivationDay(Base):
    """`listed` is how many numbers were on the list, `found` how many of them the portal knew.

    Until it is read, `error` says why not, and the next try is due at `next_try_at_ms`.
    """

    __tablename__ = "deactivation_day"
    __table_args__ = (STRICT,)

    day: Mapped[str] = mapped_column(Text, primary_key=True)
    read_at_ms: Mapped[int | None] = mapped_column(Millis)
    tries: Mapped[int]
    next_try_at_ms: Mapped[int] = mapped_column(Millis)
    listed: Mapped[int]
    found: Mapped[int]
    error: Mapped[str] = mapped_column(Text)


def known_days() -> dict[str, DeactivationDay]:
    return {row.day: row for row in db.session.scalars(select(DeactivationDay))}


def store_read_day(day: str, listed: int, found: int, now_ms: int) -> None:
    counts = {"listed": listed, "found": found}
    upsert(
        DeactivationDay,
        {"day": day, "read_at_ms": now_ms, "tries": 0, "next_try_at_ms": now_ms, "error": "", **counts},
        ["day"],
    )


def store_failed_day(day: str, tries: int, next_try_at_ms: int, error: str) -> None:
    values = {"read_at_ms": None, "tries": tries, "next_try_at_ms": next_try_at_ms, "error": error}
    upsert(DeactivationDay, {"day": day, "listed": 0, "found": 0, **values}, ["day"])


def delete_days_before(day: str) -> None:
    db.session.execute(delete(DeactivationDay).where(DeactivationDay.day < day))


def last_read_day() -> str | None:
    return db.session.scalar(select(func.max(DeactivationDay.day)).where(DeactivationDay.read_at_ms.is_not(None)))


def known_numbers(numbers: Sequence[str]) -> list[str]:
    """Those of them that are on an account."""
    query = select(PhoneNumber.number).where(in_list(PhoneNumber.number, numbers)).distinct()
    return list(db.session.scalars(query))


def numbers_listed_before(numbers: Sequence[str], at_ms: int) -> set[str]:
    """Those of them whose deactivation at this time is in the ledger, from a reading that was interrupted."""
    event = ConsentEvent
    query = select(event.number).where(in_list(event.number, numbers), event.kind == EventKind.UNREACHABLE)
    return set(db.session.scalars(query.where(event.occurred_at_ms == at_ms)))

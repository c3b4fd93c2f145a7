"""Phone numbers on accounts, the handsets behind them, and the ledger of consent."""

from typing import Any

from sqlalchemy import ForeignKey, Index, Text, UniqueConstraint, select, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.extensions import Base, db
from portal.models.account import Account
from portal.models.types import STRICT, Flag, Json, Key, Millis


class PhoneNumber(Base):
    """A number on an account. At most one account holds SMS for a number: the partial unique index says so."""

    __tablename__ = "phone_number"
    __table_args__ = (
        UniqueConstraint("account_id", "number"),
        Index("ix_phone_number_number", "number"),
        Index(
            "uq_phone_number_holder",
            "number",
            unique=True,
            sqlite_where=text("holds_sms = 1"),
            postgresql_where=text("holds_sms = 1"),
        ),
        STRICT,
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"))
    number: Mapped[str] = mapped_column(Text)
    label: Mapped[str] = mapped_column(Text, default="")
    holds_sms: Mapped[bool] = mapped_column(Flag, default=False)
    holds_sms_since_ms: Mapped[int | None] = mapped_column(Millis)
    created_at_ms: Mapped[int] = mapped_column(Millis)

    account: Mapped[Account] = relationship()


class Handset(Base):
    """What is known of a number itself, whoever's account it stands on. STOP silences the number for all."""

    __tablename__ = "handset"
    __table_args__ = (STRICT,)

    number: Mapped[str] = mapped_column(Text, primary_key=True)
    stopped_at_ms: Mapped[int | None] = mapped_column(Millis)
    unreachable_at_ms: Mapped[int | None] = mapped_column(Millis)
    unreachable_code: Mapped[str | None] = mapped_column(Text)


class ConsentEvent(Base):
    """One line of the ledger: who agreed or left, when, by what words. Rows are only ever added."""

    __tablename__ = "consent_event"
    __table_args__ = (Index("ix_consent_event_number", "number", "id"), STRICT)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    number: Mapped[str] = mapped_column(Text)
    account_id: Mapped[int | None] = mapped_column(Key)
    kind: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    detail: Mapped[Any] = mapped_column(Json, default=dict)
    occurred_at_ms: Mapped[int] = mapped_column(Millis)
    recorded_at_ms: Mapped[int] = mapped_column(Millis)


def numbers_of(account_id: int) -> list[PhoneNumber]:
    query = select(PhoneNumber).where(PhoneNumber.account_id == account_id).order_by(PhoneNumber.id)
    return list(db.session.scalars(query))


def handsets(numbers: list[str]) -> dict[str, Handset]:
    found = db.session.scalars(select(Handset).where(Handset.number.in_(numbers)))
    return {handset.number: handset for handset in found}


def others_with(number: str, account_id: int) -> list[PhoneNumber]:
    query = select(PhoneNumber).where(PhoneNumber.number == number, PhoneNumber.account_id != account_id)
    return list(db.session.scalars(query))


def is_stopped(number: str | None) -> bool:
    """Whether the number said STOP; False for no number."""
    handset = db.session.get(Handset, number) if number else None
    return handset is not None and handset.stopped_at_ms is not None


def has_consented(number: str, account_id: int) -> bool:
    """Whether this account ever enabled this number for texts."""
    query = select(ConsentEvent.id).where(
        ConsentEvent.number == number, ConsentEvent.account_id == account_id, ConsentEvent.kind == "opt_in"
    )
    return db.session.scalar(query.limit(1)) is not None

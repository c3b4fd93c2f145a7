"""Phone numbers on accounts, and the handsets behind them."""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    Index,
    Text,
    UniqueConstraint,
    Update,
    bindparam,
    func,
    select,
    text,
    update,
)
from sqlalchemy.orm import InstrumentedAttribute, Mapped, mapped_column, relationship

from portal.accounts.tables.accounts import Account
from portal.core.column_types import STRICT, BigIntKey, Flag, Millis
from portal.core.extensions import Base, db
from portal.core.in_list import in_list
from portal.core.rules.routing import RecipientPhone
from portal.core.rules.sender_assignment import BUCKET_DIGITS


class PhoneNumber(Base):
    """A number on an account. At most one account holds SMS for a number: the partial unique index says so."""

    __tablename__ = "phone_number"
    __table_args__ = (
        UniqueConstraint("account_id", "number"),
        Index("ix_phone_number_number", "number"),
        Index(
            "uq_phone_number_receives_sms",
            "number",
            unique=True,
            sqlite_where=text("receives_sms = 1"),
            postgresql_where=text("receives_sms = 1"),
        ),
        STRICT,
    )

    id: Mapped[int] = mapped_column(BigIntKey, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"))
    number: Mapped[str] = mapped_column(Text)
    label: Mapped[str] = mapped_column(Text, default="")
    receives_sms: Mapped[bool] = mapped_column(Flag, default=False)
    receives_sms_since_ms: Mapped[int | None] = mapped_column(Millis)
    created_at_ms: Mapped[int] = mapped_column(Millis)

    account: Mapped[Account] = relationship()


class PhoneState(Base):
    """What is known of a number itself, whoever's account it stands on. STOP silences the number for all."""

    __tablename__ = "phone_state"
    __table_args__ = (STRICT,)

    number: Mapped[str] = mapped_column(Text, primary_key=True)
    stopped_at_ms: Mapped[int | None] = mapped_column(Millis)
    unreachable_at_ms: Mapped[int | None] = mapped_column(Millis)
    unreachable_code: Mapped[str | None] = mapped_column(Text)
    preferred_sender: Mapped[str | None] = mapped_column(Text)
    """The number of ours that it texted START to last."""


def phones_of(account_id: int) -> list[PhoneNumber]:
    query = select(PhoneNumber).where(PhoneNumber.account_id == account_id).order_by(PhoneNumber.id)
    return list(db.session.scalars(query))


def phone_states(numbers: list[str]) -> dict[str, PhoneState]:
    found = db.session.scalars(select(PhoneState).where(PhoneState.number.in_(numbers)))
    return {handset.number: handset for handset in found}


def set_preferred_sender(number: str, ours: str) -> None:
    """It said START to this number of ours, and expects texts from there. Inside a transaction."""
    _execute(update(PhoneState).where(PhoneState.number == number).values(preferred_sender=ours))


def preferred_sender_of(number: str) -> str | None:
    return db.session.scalar(select(PhoneState.preferred_sender).where(PhoneState.number == number))


def sender_bucket_of(column: ColumnElement[str] | InstrumentedAttribute[str]) -> ColumnElement[str]:
    """The lot of a number (`core.rules.sender_assignment`), as both databases tell it."""
    return func.substr(column, func.length(column) - BUCKET_DIGITS + 1)


def other_phones_with(number: str, account_id: int) -> list[PhoneNumber]:
    query = select(PhoneNumber).where(PhoneNumber.number == number, PhoneNumber.account_id != account_id)
    return list(db.session.scalars(query))


def is_stopped(number: str | None) -> bool:
    """Whether the number said STOP; False for no number."""
    handset = db.session.get(PhoneState, number) if number else None
    return handset is not None and handset.stopped_at_ms is not None


def phones_with(number: str) -> list[PhoneNumber]:
    """Every account that has the number, the one that holds its texts first."""
    query = select(PhoneNumber).where(PhoneNumber.number == number)
    return list(db.session.scalars(query.order_by(PhoneNumber.receives_sms.desc(), PhoneNumber.id)))


def recipients_by_number(numbers: Sequence[str]) -> dict[str, tuple[int, int | None]]:
    """Number to the account that holds its texts, and since when."""
    query = select(PhoneNumber).where(in_list(PhoneNumber.number, numbers), PhoneNumber.receives_sms == True)  # noqa: E712
    return {phone.number: (phone.account_id, phone.receives_sms_since_ms) for phone in db.session.scalars(query)}


def assign_texts(number: str, account_id: int | None, since_ms: int | None) -> None:
    """The account holds the number's texts from now on, and no other; with None nobody does. Inside a transaction."""
    at_number = update(PhoneNumber).where(PhoneNumber.number == number)
    gone = at_number.where(PhoneNumber.receives_sms == True, PhoneNumber.account_id != (account_id or 0))  # noqa: E712
    _execute(gone.values(receives_sms=False, receives_sms_since_ms=None))
    if account_id is not None:
        given = at_number.where(PhoneNumber.account_id == account_id)
        _execute(given.values(receives_sms=True, receives_sms_since_ms=since_ms))


def assign_texts_in_bulk(given: Sequence[tuple[str, int, int | None]]) -> None:
    """`assign_texts` for many numbers that no other account holds: number, account, since when. Inside a transaction."""
    rows = [{"at": number, "to": account_id, "since": since_ms} for number, account_id, since_ms in given]
    at_number = update(PhoneNumber).where(PhoneNumber.number == bindparam("at"))
    query = at_number.where(PhoneNumber.account_id == bindparam("to"))
    if rows:
        # past the session, which takes a list of values to mean primary keys
        db.session.connection().execute(query.values(receives_sms=True, receives_sms_since_ms=bindparam("since")), rows)


def _execute(query: Update) -> None:
    db.session.execute(query, execution_options={"synchronize_session": False})


def numbers_for_routing(account_ids: Sequence[int]) -> dict[int, list[RecipientPhone]]:
    """Account id to its numbers, the one that holds SMS first."""
    query = (
        select(
            PhoneNumber.account_id,
            PhoneNumber.number,
            PhoneNumber.receives_sms,
            PhoneState.stopped_at_ms,
            PhoneState.unreachable_at_ms,
        )
        .outerjoin(PhoneState, PhoneState.number == PhoneNumber.number)
        .where(PhoneNumber.account_id.in_(account_ids))
        .order_by(PhoneNumber.receives_sms.desc(), PhoneNumber.id)
    )
    rows = db.session.execute(query).all()
    holders = _sms_holders([row.number for row in rows if not row.receives_sms])
    found: dict[int, list[RecipientPhone]] = defaultdict(list)
    for account_id, number, holds, stopped, unreachable in rows:
        elsewhere = not holds and number in holders
        found[account_id].append(RecipientPhone(number, holds, elsewhere, stopped is not None, unreachable is not None))
    return found


def _sms_holders(numbers: Sequence[str]) -> dict[str, int]:
    if not numbers:
        return {}
    query = select(PhoneNumber.number, PhoneNumber.account_id).where(
        PhoneNumber.number.in_(set(numbers)),
        PhoneNumber.receives_sms == True,  # noqa: E712  SQL, not Python
    )
    return {number: account_id for number, account_id in db.session.execute(query)}

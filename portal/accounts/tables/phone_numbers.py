"""Phone numbers on accounts, and the state of each phone number."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    Text,
    UniqueConstraint,
    Update,
    bindparam,
    func,
    select,
    text,
    type_coerce,
    update,
)
from sqlalchemy.orm import InstrumentedAttribute, Mapped, mapped_column, relationship

from portal.accounts.tables.accounts import Account
from portal.core.column_types import STRICT, BigIntKey, Flag, Millis
from portal.core.extensions import Base, db
from portal.core.rules.routing import DEACTIVATED_CODE, RecipientPhone
from portal.core.rules.sender_assignment import BUCKET_DIGITS
from portal.core.statements import in_list


def _where(condition: str) -> dict[str, Any]:
    return dict.fromkeys(("sqlite_where", "postgresql_where"), text(condition))


class PhoneNumber(Base):
    """A phone number on an account. Only one account receives its texts, as the partial unique index ensures."""

    __tablename__ = "phone_number"
    __table_args__ = (
        UniqueConstraint("account_id", "number"),
        Index("ix_phone_number_number", "number"),
        Index(
            "uq_phone_number_receives_sms",
            "number",
            unique=True,
            **_where("receives_sms = 1"),
        ),
        Index("ix_phone_number_enabled", "account_id", "number", **_where("receives_sms = 1")),
        Index("ix_phone_number_disabled", "account_id", "number", **_where("receives_sms = 0")),
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
    """The state of a phone number, whichever accounts it is on. STOP stops its texts for all of them."""

    __tablename__ = "phone_state"
    __table_args__ = (
        Index("ix_phone_state_stopped", "number", **_where("stopped_at_ms IS NOT NULL")),
        Index("ix_phone_state_unreachable", "number", **_where("unreachable_at_ms IS NOT NULL")),
        STRICT,
    )

    number: Mapped[str] = mapped_column(Text, primary_key=True)
    stopped_at_ms: Mapped[int | None] = mapped_column(Millis)
    unreachable_at_ms: Mapped[int | None] = mapped_column(Millis)
    unreachable_code: Mapped[str | None] = mapped_column(Text)
    preferred_sender: Mapped[str | None] = mapped_column(Text)
    """Our sending number that the phone last texted START to."""


def phones_of(account_id: int) -> list[PhoneNumber]:
    query = select(PhoneNumber).where(PhoneNumber.account_id == account_id).order_by(PhoneNumber.id)
    return list(db.session.scalars(query))


def set_preferred_sender(number: str, sending_number: str) -> None:
    """The phone texted START to this sending number and expects texts from it. Call inside a transaction."""
    _execute(update(PhoneState).where(PhoneState.number == number).values(preferred_sender=sending_number))


def preferred_sender_of(number: str) -> str | None:
    return db.session.scalar(select(PhoneState.preferred_sender).where(PhoneState.number == number))


def sender_bucket_of(column: ColumnElement[str] | InstrumentedAttribute[str]) -> ColumnElement[str]:
    """The bucket of a phone number (`core.rules.sender_assignment`), in SQL that both databases understand."""
    return func.substr(column, func.length(column) - BUCKET_DIGITS + 1)


def other_phones_with(number: str, account_id: int) -> list[PhoneNumber]:
    query = select(PhoneNumber).where(PhoneNumber.number == number, PhoneNumber.account_id != account_id)
    return list(db.session.scalars(query))


def is_stopped(number: str | None) -> bool:
    """Whether the phone replied STOP; False for no number."""
    state = phone_state(number) if number else None
    return state is not None and state.stopped_at_ms is not None


def phone_state(number: str) -> PhoneState | None:
    return db.session.get(PhoneState, number)


def phones_with(number: str) -> list[PhoneNumber]:
    """The number on every account that has it; the account that receives its texts first."""
    query = select(PhoneNumber).where(PhoneNumber.number == number)
    return list(db.session.scalars(query.order_by(PhoneNumber.receives_sms.desc(), PhoneNumber.id)))


def recipients_by_number(numbers: Sequence[str]) -> dict[str, tuple[int, int | None]]:
    """For each number, the account that receives its texts, and since when."""
    columns = PhoneNumber.number, PhoneNumber.account_id, PhoneNumber.receives_sms_since_ms
    query = select(*columns).where(in_list(PhoneNumber.number, numbers), PhoneNumber.receives_sms == True)  # noqa: E712
    return {number: (account_id, since_ms) for number, account_id, since_ms in db.session.execute(query)}


def assign_texts(recipients: Mapping[str, tuple[int | None, int | None]]) -> None:
    """For each number, let only this account receive its texts, since then; or nobody if None. Inside a transaction."""
    rows = [{"phone": number, "account": id or 0, "since": since_ms} for number, (id, since_ms) in recipients.items()]
    phones = update(PhoneNumber).where(PhoneNumber.number == bindparam("phone"))
    others = phones.where(PhoneNumber.receives_sms == True, PhoneNumber.account_id != bindparam("account"))  # noqa: E712
    recipient = phones.where(PhoneNumber.account_id == bindparam("account"))
    if rows:
        # On the connection: a session would take the rows for an update by primary key.
        connection = db.session.connection()
        connection.execute(others.values(receives_sms=False, receives_sms_since_ms=None), rows)
        connection.execute(recipient.values(receives_sms=True, receives_sms_since_ms=bindparam("since")), rows)


def _execute(query: Update) -> None:
    db.session.execute(query, execution_options={"synchronize_session": False})


def numbers_for_routing(account_ids: Sequence[int]) -> dict[int, list[RecipientPhone]]:
    """Each account's phone numbers, the one that receives texts first."""
    own = PhoneNumber.account_id, PhoneNumber.number, type_coerce(PhoneNumber.receives_sms, Integer)
    query = (
        select(*own, PhoneState.stopped_at_ms, PhoneState.unreachable_at_ms, PhoneState.unreachable_code)
        .outerjoin(PhoneState, PhoneState.number == PhoneNumber.number)
        .where(in_list(PhoneNumber.account_id, account_ids))
        .order_by(PhoneNumber.receives_sms.desc(), PhoneNumber.id)
    )
    rows = db.session.connection().execute(query).all()
    assigned = _numbers_receiving_texts({number for _, number, receives_sms, *_ in rows if not receives_sms})
    phones: dict[int, list[RecipientPhone]] = defaultdict(list)
    for account_id, number, flag, stopped_at_ms, unreachable_at_ms, code in rows:
        receives_sms = bool(flag)
        elsewhere = not receives_sms and number in assigned
        phones[account_id].append(
            RecipientPhone(
                number,
                receives_sms,
                elsewhere,
                stopped_at_ms is not None,
                unreachable_at_ms is not None,
                code == DEACTIVATED_CODE,
            )
        )
    return phones


def _numbers_receiving_texts(numbers: set[str]) -> set[str]:
    is_enabled = PhoneNumber.receives_sms == True  # noqa: E712  SQL, not Python
    query = select(PhoneNumber.number).where(in_list(PhoneNumber.number, list(numbers)), is_enabled)
    return set(db.session.scalars(query)) if numbers else set()

"""What the setup remembers: the link for the first system administrator, what was proved, and what was confirmed."""

from sqlalchemy import ColumnElement, Text, delete, select
from sqlalchemy.orm import Mapped, mapped_column

from portal.accounts.tables.accounts import Account
from portal.core.column_types import STRICT, Millis
from portal.core.extensions import Base, db
from portal.core.statements import upsert


class SetupState(Base):
    """`name` says what it is about, `at_ms` when it happened, or when a link or code expires."""

    __tablename__ = "setup_state"
    __table_args__ = (STRICT,)

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    value: Mapped[str] = mapped_column(Text, default="")
    at_ms: Mapped[int] = mapped_column(Millis)


def remembered() -> dict[str, SetupState]:
    return {row.name: row for row in db.session.scalars(select(SetupState))}


def is_remembered(name: str) -> bool:
    return db.session.scalar(select(SetupState.at_ms).where(SetupState.name == name)) is not None


def remember(name: str, at_ms: int, value: str = "") -> None:
    upsert(SetupState, {"name": name, "value": value, "at_ms": at_ms}, ["name"])


def forget(name: str) -> None:
    db.session.execute(delete(SetupState).where(SetupState.name == name))


def is_valid(name: str, digest: str, now_ms: int) -> bool:
    """Whether a link or code with this digest has been given out and has not expired."""
    return db.session.scalar(select(SetupState.name).where(*_valid(name, digest, now_ms))) is not None


def take(name: str, digest: str, now_ms: int) -> bool:
    """Use up a link or code. False if it was used, replaced or has expired; of two callers, one gets True."""
    query = delete(SetupState).where(*_valid(name, digest, now_ms)).returning(SetupState.name)
    return db.session.scalar(query.execution_options(synchronize_session=False)) is not None


def has_account(role: str) -> bool:
    """An active one."""
    is_one = Account.role == role, Account.active == True  # noqa: E712  SQL, not Python
    return db.session.scalar(select(Account.id).where(*is_one).limit(1)) is not None


def _valid(name: str, digest: str, now_ms: int) -> tuple[ColumnElement[bool], ...]:
    return SetupState.name == name, SetupState.value == digest, SetupState.at_ms > now_ms

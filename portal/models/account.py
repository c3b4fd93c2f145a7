"""Accounts: who can sign in, and as what."""

from dataclasses import dataclass

from flask_security import RoleMixin, UserMixin
from sqlalchemy import Index, Text, func, select, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.domain import text_input
from portal.domain.roster import ROLES
from portal.extensions import Base, db
from portal.models.types import STRICT, Flag, Key, Millis


@dataclass(frozen=True)
class Role(RoleMixin):  # type: ignore[misc]
    name: str


class Account(Base, UserMixin):  # type: ignore[misc]
    __tablename__ = "account"
    __table_args__ = (
        Index("ix_account_email", text("lower(email)")),
        Index("ix_account_type", "account_type", "id"),
        STRICT,
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    external_id: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text)
    email: Mapped[str] = mapped_column(Text)
    account_type: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(Text, default="user")
    timezone: Mapped[str] = mapped_column(Text)
    active: Mapped[bool] = mapped_column(Flag, default=True)
    password: Mapped[str | None] = mapped_column(Text)
    fs_uniquifier: Mapped[str] = mapped_column(Text, unique=True)
    created_at_ms: Mapped[int] = mapped_column(Millis)

    @property
    def roles(self) -> list[Role]:
        return [Role(name) for name in ROLES[: ROLES.index(self.role) + 1]]


def by_external_id(external_id: str) -> Account | None:
    return db.session.scalar(select(Account).where(Account.external_id == external_id))


def by_sign_in_name(name: str) -> Account | None:
    """The account with this account number, else the only one with this email; None when nobody or several have it."""
    wanted = text_input.code(name)
    exact = by_external_id(wanted)
    if exact is not None:
        return exact
    found = db.session.scalars(select(Account).where(func.lower(Account.email) == wanted.lower()).limit(2)).all()
    return found[0] if len(found) == 1 else None


def account_types() -> list[str]:
    return list(db.session.scalars(select(Account.account_type).distinct().order_by(Account.account_type)))

"""Passkeys: the public halves of keys that stay with their owners."""

from sqlalchemy import ForeignKey, Index, Text, delete, select
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.column_types import STRICT, BigIntKey, Millis
from portal.core.extensions import Base, db


class Passkey(Base):
    """Bytes are stored as base64url. All passkeys of an account have one `user_handle`, a random one."""

    __tablename__ = "passkey"
    __table_args__ = (Index("ix_passkey_account_id", "account_id"), STRICT)

    id: Mapped[int] = mapped_column(BigIntKey, primary_key=True)
    account_id: Mapped[int] = mapped_column(BigIntKey, ForeignKey("account.id", ondelete="CASCADE"))
    credential_id: Mapped[str] = mapped_column(Text, unique=True)
    public_key: Mapped[str] = mapped_column(Text)
    sign_count: Mapped[int] = mapped_column(Millis)
    """What the authenticator counted at its last signature; 0 for those that do not count."""
    user_handle: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    created_at_ms: Mapped[int] = mapped_column(Millis)
    last_used_at_ms: Mapped[int | None] = mapped_column(Millis)


def passkeys_of(account_id: int) -> list[Passkey]:
    """Oldest first."""
    return list(db.session.scalars(select(Passkey).where(Passkey.account_id == account_id).order_by(Passkey.id)))


def find_passkey(credential_id: str) -> Passkey | None:
    return db.session.scalar(select(Passkey).where(Passkey.credential_id == credential_id))


def lock_passkey(credential_id: str) -> Passkey | None:
    """Inside a transaction: of two answers at once with the same counter, the second is refused."""
    query = select(Passkey).where(Passkey.credential_id == credential_id).with_for_update()
    return db.session.scalar(query.execution_options(populate_existing=True))


def delete_passkeys(account_id: int) -> int:
    """How many there were. Inside a transaction."""
    query = delete(Passkey).where(Passkey.account_id == account_id)
    return len(list(db.session.scalars(query.returning(Passkey.id))))

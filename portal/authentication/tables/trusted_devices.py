"""Browsers on which an account is asked for no second factor for a while."""

from collections.abc import Collection, Sequence

from sqlalchemy import ForeignKey, Text, delete, select, update
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.column_types import STRICT, BigIntKey, Millis
from portal.core.extensions import Base, db
from portal.core.statements import upsert


class TrustedDevice(Base):
    """`token_hash` is of the token in the browser's cookie, `credentials_hash` of what the account signed in with."""

    __tablename__ = "trusted_device"
    __table_args__ = (STRICT,)

    account_id: Mapped[int] = mapped_column(BigIntKey, ForeignKey("account.id", ondelete="CASCADE"), primary_key=True)
    token_hash: Mapped[str] = mapped_column(Text, primary_key=True)
    credentials_hash: Mapped[str] = mapped_column(Text)
    browser: Mapped[str] = mapped_column(Text)
    created_at_ms: Mapped[int] = mapped_column(Millis)


def trusted_devices(account_id: int, credentials_hashes: Collection[str], since_ms: int) -> Sequence[TrustedDevice]:
    """Those that are still trusted, newest first."""
    query = select(TrustedDevice).where(
        TrustedDevice.account_id == account_id,
        TrustedDevice.credentials_hash.in_(credentials_hashes),
        TrustedDevice.created_at_ms > since_ms,
    )
    return db.session.scalars(query.order_by(TrustedDevice.created_at_ms.desc())).all()


def remember_trusted_device(row: dict[str, object]) -> None:
    """Call inside a transaction."""
    upsert(TrustedDevice, row, ["account_id", "token_hash"])


def replace_device_token(token_hash: str, new_hash: str) -> None:
    """Call inside a transaction."""
    is_device = TrustedDevice.token_hash == token_hash
    db.session.execute(update(TrustedDevice).where(is_device).values(token_hash=new_hash))


def forget_trusted_devices(account_id: int) -> None:
    db.session.execute(delete(TrustedDevice).where(TrustedDevice.account_id == account_id))


def delete_devices_until(created_at_ms: int) -> None:
    db.session.execute(delete(TrustedDevice).where(TrustedDevice.created_at_ms <= created_at_ms))

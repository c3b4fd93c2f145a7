"""The keys with which the portal signs what it hands out: the newest signs, the others have signed."""

from sqlalchemy import Text, func, select, update
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.column_types import STRICT, BigIntKey, Millis, encrypted_as
from portal.core.extensions import Base, db
from portal.core.statements import updated_count

SIGNING_KEY_NAME = "Signing key"


class SigningKeyRow(Base):
    """`private_key` is encrypted as secrets of the settings are; "" once a replaced key can sign nothing any more."""

    __tablename__ = "signing_key"
    __table_args__ = (STRICT,)

    id: Mapped[int] = mapped_column(BigIntKey, primary_key=True)
    public_key: Mapped[str] = mapped_column(Text)
    private_key: Mapped[str] = mapped_column(Text, info=encrypted_as(lambda _row: SIGNING_KEY_NAME))
    created_at_ms: Mapped[int] = mapped_column(Millis)


def stored_signing_keys() -> list[SigningKeyRow]:
    """Newest first."""
    return list(db.session.scalars(select(SigningKeyRow).order_by(SigningKeyRow.id.desc())))


def stored_signing_key(public_key: str | None = None) -> SigningKeyRow | None:
    """The key with this public half, by default the newest."""
    query = select(SigningKeyRow).order_by(SigningKeyRow.id.desc()).limit(1)
    return db.session.scalar(query if public_key is None else query.where(SigningKeyRow.public_key == public_key))


def forget_private_keys(replaced_before_ms: int) -> int:
    """Delete the private halves of keys that were replaced before then. Inside a transaction."""
    newer = select(func.max(SigningKeyRow.id)).where(SigningKeyRow.created_at_ms < replaced_before_ms).scalar_subquery()
    query = update(SigningKeyRow).where(SigningKeyRow.id < newer, SigningKeyRow.private_key != "")
    return updated_count(query.values(private_key=""))

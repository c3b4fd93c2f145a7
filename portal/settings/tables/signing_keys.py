"""The key with which the portal signs what it hands out."""

from sqlalchemy import Text, select, update
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.column_types import STRICT, BigIntKey, Millis
from portal.core.extensions import Base, db


class SigningKeyRow(Base):
    """One row. `private_key` is encrypted as secrets of the settings are (`settings.rules.encryption`)."""

    __tablename__ = "signing_key"
    __table_args__ = (STRICT,)

    id: Mapped[int] = mapped_column(BigIntKey, primary_key=True)
    public_key: Mapped[str] = mapped_column(Text)
    private_key: Mapped[str] = mapped_column(Text)
    created_at_ms: Mapped[int] = mapped_column(Millis)


def stored_signing_key() -> SigningKeyRow | None:
    return db.session.scalar(select(SigningKeyRow))


def replace_private_key(ciphertext: str) -> None:
    """The same key encrypted with another one. Inside a transaction."""
    db.session.execute(update(SigningKeyRow).values(private_key=ciphertext))

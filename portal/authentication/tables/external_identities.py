"""Who somebody is at the provider of the single sign-on."""

from sqlalchemy import ForeignKey, Text, UniqueConstraint, delete, select
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.column_types import STRICT, BigIntKey, Millis
from portal.core.extensions import Base, db


class ExternalIdentity(Base):
    """An issuer gives a subject to one person for ever, while it may give an address to somebody else later."""

    __tablename__ = "external_identity"
    __table_args__ = (
        UniqueConstraint("account_id", "issuer", name="uq_external_identity_account_id_issuer"),
        STRICT,
    )

    issuer: Mapped[str] = mapped_column(Text, primary_key=True)
    subject: Mapped[str] = mapped_column(Text, primary_key=True)
    account_id: Mapped[int] = mapped_column(BigIntKey, ForeignKey("account.id", ondelete="CASCADE"))
    connected_at_ms: Mapped[int] = mapped_column(Millis)
    last_used_at_ms: Mapped[int | None] = mapped_column(Millis)


def find_external_identity(issuer: str, subject: str) -> ExternalIdentity | None:
    return db.session.get(ExternalIdentity, (issuer, subject), populate_existing=True)


def identities_of(account_id: int) -> list[ExternalIdentity]:
    query = select(ExternalIdentity).where(ExternalIdentity.account_id == account_id)
    return list(db.session.scalars(query.order_by(ExternalIdentity.issuer)))


def delete_identities(account_id: int) -> int:
    """How many there were. Inside a transaction."""
    query = delete(ExternalIdentity).where(ExternalIdentity.account_id == account_id)
    return len(list(db.session.scalars(query.returning(ExternalIdentity.subject))))

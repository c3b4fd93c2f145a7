"""From where somebody signed in to an account: such an address is not closed by wrong tries from others."""

from sqlalchemy import ForeignKey, Text, delete, select
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.column_types import STRICT, BigIntKey, Millis
from portal.core.extensions import Base, db
from portal.core.statements import upsert

_RETENTION_MS = 90 * 86_400_000
_MAX_PER_ACCOUNT = 10


class KnownAddress(Base):
    """`address` is a keyed hash: which accounts share one can be seen, where they are cannot."""

    __tablename__ = "known_address"
    __table_args__ = (STRICT,)

    account_id: Mapped[int] = mapped_column(BigIntKey, ForeignKey("account.id", ondelete="CASCADE"), primary_key=True)
    address_hash: Mapped[str] = mapped_column(Text, primary_key=True)
    last_sign_in_at_ms: Mapped[int] = mapped_column(Millis)


def accounts_known_at(account_ids: list[int], address: str, now_ms: int) -> set[int]:
    """The accounts among these that were signed in to from this address within 90 days."""
    query = select(KnownAddress.account_id).where(
        KnownAddress.account_id.in_(account_ids),
        KnownAddress.address_hash == address,
        KnownAddress.last_sign_in_at_ms > now_ms - _RETENTION_MS,
    )
    return set(db.session.scalars(query))


def remember_address(account_id: int, address: str, now_ms: int) -> None:
    """Inside a transaction. Of each account the ten newest are kept."""
    upsert(
        KnownAddress,
        {"account_id": account_id, "address_hash": address, "last_sign_in_at_ms": now_ms},
        ["account_id", "address_hash"],
    )
    of_account = KnownAddress.account_id == account_id
    newest = (
        select(KnownAddress.address_hash)
        .where(of_account)
        .order_by(KnownAddress.last_sign_in_at_ms.desc())
        .limit(_MAX_PER_ACCOUNT)
    )
    db.session.execute(delete(KnownAddress).where(of_account, KnownAddress.address_hash.not_in(newest)))

"""IP addresses that accounts have signed in from: attempts from elsewhere do not lock them out."""

from sqlalchemy import ForeignKey, Text, delete, select
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.column_types import STRICT, BigIntKey, Millis
from portal.core.extensions import Base, db
from portal.core.statements import upsert

_RETENTION_MS = 90 * 86_400_000
_MAX_PER_ACCOUNT = 10


class KnownAddress(Base):
    """`address_hash` is a keyed hash: it shows which accounts share an address, but not which address it is."""

    __tablename__ = "known_address"
    __table_args__ = (STRICT,)

    account_id: Mapped[int] = mapped_column(BigIntKey, ForeignKey("account.id", ondelete="CASCADE"), primary_key=True)
    address_hash: Mapped[str] = mapped_column(Text, primary_key=True)
    last_sign_in_at_ms: Mapped[int] = mapped_column(Millis)


def accounts_known_at(account_ids: list[int], address_hashes: list[str], now_ms: int) -> set[int]:
    """Which of these accounts have signed in within 90 days from the address that has one of the hashes."""
    query = select(KnownAddress.account_id).where(
        KnownAddress.account_id.in_(account_ids),
        KnownAddress.address_hash.in_(address_hashes),
        KnownAddress.last_sign_in_at_ms > now_ms - _RETENTION_MS,
    )
    return set(db.session.scalars(query))


def remember_address(account_id: int, address_hash: str, now_ms: int) -> None:
    """Keeps the ten newest addresses of each account. Call inside a transaction."""
    row = {"account_id": account_id, "address_hash": address_hash, "last_sign_in_at_ms": now_ms}
    upsert(KnownAddress, row, ["account_id", "address_hash"])
    of_account = KnownAddress.account_id == account_id
    newest_first = select(KnownAddress.address_hash).where(of_account).order_by(KnownAddress.last_sign_in_at_ms.desc())
    is_old = KnownAddress.address_hash.not_in(newest_first.limit(_MAX_PER_ACCOUNT))
    db.session.execute(delete(KnownAddress).where(of_account, is_old))

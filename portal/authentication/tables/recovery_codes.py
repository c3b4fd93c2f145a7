"""Recovery codes, for whoever has lost the second factor."""

from collections.abc import Mapping

from sqlalchemy import ForeignKey, Text, delete, func, insert, select
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.column_types import STRICT, BigIntKey
from portal.core.extensions import Base, db


class RecoveryCode(Base):
    """One that has not been used. `selector` is the beginning of the code, which finds its row; the rest is hashed."""

    __tablename__ = "recovery_code"
    __table_args__ = (STRICT,)

    account_id: Mapped[int] = mapped_column(BigIntKey, ForeignKey("account.id", ondelete="CASCADE"), primary_key=True)
    selector: Mapped[str] = mapped_column(Text, primary_key=True)
    code_hash: Mapped[str] = mapped_column(Text)


def count_recovery_codes(account_id: int) -> int:
    query = select(func.count()).select_from(RecoveryCode).where(RecoveryCode.account_id == account_id)
    return db.session.scalar(query) or 0


def find_code_hash(account_id: int, selector: str) -> str | None:
    of_code = RecoveryCode.account_id == account_id, RecoveryCode.selector == selector
    return db.session.scalar(select(RecoveryCode.code_hash).where(*of_code))


def replace_recovery_codes(account_id: int, hashes: Mapping[str, str]) -> None:
    """`hashes` has those of the new codes by selector. Call inside a transaction."""
    delete_recovery_codes(account_id)
    rows = [{"account_id": account_id, "selector": name, "code_hash": text} for name, text in hashes.items()]
    db.session.execute(insert(RecoveryCode), rows)


def use_code_hash(account_id: int, selector: str, code_hash: str) -> bool:
    """Delete the code. False if it was used in the meantime. Call inside a transaction."""
    of_code = RecoveryCode.account_id == account_id, RecoveryCode.selector == selector
    query = delete(RecoveryCode).where(*of_code, RecoveryCode.code_hash == code_hash)
    return db.session.scalar(query.returning(RecoveryCode.selector)) is not None


def delete_recovery_codes(account_id: int) -> None:
    db.session.execute(delete(RecoveryCode).where(RecoveryCode.account_id == account_id))

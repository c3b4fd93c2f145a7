"""Saved searches: search lines with a name, of one administrator each."""

from sqlalchemy import ForeignKey, Index, Text, select
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.column_types import STRICT, BigIntKey, Millis
from portal.core.extensions import Base, db


class SavedSearch(Base):
    __tablename__ = "saved_search"
    __table_args__ = (Index("uq_saved_search_name", "account_id", "name_folded", unique=True), STRICT)

    id: Mapped[int] = mapped_column(BigIntKey, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    name: Mapped[str] = mapped_column(Text)
    name_folded: Mapped[str] = mapped_column(Text)
    line: Mapped[str] = mapped_column(Text)
    created_at_ms: Mapped[int] = mapped_column(Millis)


def saved_searches_of(account_id: int) -> list[SavedSearch]:
    """In order of their names."""
    query = select(SavedSearch).where(SavedSearch.account_id == account_id)
    return list(db.session.scalars(query.order_by(SavedSearch.name_folded, SavedSearch.id)))


def find_saved_search(search_id: int, account_id: int) -> SavedSearch | None:
    """The saved search if it belongs to this account."""
    is_own = (SavedSearch.id == search_id, SavedSearch.account_id == account_id)
    return db.session.scalar(select(SavedSearch).where(*is_own))

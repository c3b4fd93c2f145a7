"""Saved versions of content blocks, of which each language has its own. One without a row uses its shipped default."""

from sqlalchemy import ForeignKey, Text, UniqueConstraint, func, select
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship

from portal.accounts.tables.accounts import Account
from portal.core.column_types import STRICT, BigIntKey, Millis
from portal.core.extensions import Base, db


class ContentVersion(Base):
    """One version of a block, never updated because consent refers to it. The highest number is current."""

    __tablename__ = "content_version"
    __table_args__ = (UniqueConstraint("key", "number"), STRICT)

    id: Mapped[int] = mapped_column(BigIntKey, primary_key=True)
    key: Mapped[str] = mapped_column(Text)
    number: Mapped[int]
    text: Mapped[str] = mapped_column(Text)
    restored_from: Mapped[int | None]
    """The version this text was restored from; 0 is the shipped default."""
    created_at_ms: Mapped[int] = mapped_column(Millis)
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))

    created_by: Mapped[Account | None] = relationship()


def current_block_versions() -> dict[str, ContentVersion]:
    """The current version of every block that has one, by key. The others use their default."""
    highest = select(ContentVersion.key, func.max(ContentVersion.number).label("number")).group_by(ContentVersion.key)
    newest = highest.subquery()
    is_newest = (ContentVersion.key == newest.c.key) & (ContentVersion.number == newest.c.number)
    query = select(ContentVersion).join(newest, is_newest).options(joinedload(ContentVersion.created_by))
    return {version.key: version for version in db.session.scalars(query)}


def block_versions(key: str) -> list[ContentVersion]:
    """Newest first."""
    query = select(ContentVersion).where(ContentVersion.key == key).order_by(ContentVersion.number.desc())
    return list(db.session.scalars(query.options(joinedload(ContentVersion.created_by))))

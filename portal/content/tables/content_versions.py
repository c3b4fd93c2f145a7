"""The portal's own texts as administrators wrote them. A block without a row speaks the words that ship."""

from sqlalchemy import ForeignKey, Text, UniqueConstraint, func, select
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship

from portal.accounts.tables.accounts import Account
from portal.core.column_types import STRICT, BigIntKey, Millis
from portal.core.extensions import Base, db


class ContentVersion(Base):
    """One version of a block, never changed: consent refers to it. The highest number is in force."""

    __tablename__ = "content_version"
    __table_args__ = (UniqueConstraint("key", "number"), STRICT)

    id: Mapped[int] = mapped_column(BigIntKey, primary_key=True)
    key: Mapped[str] = mapped_column(Text)
    number: Mapped[int]
    text: Mapped[str] = mapped_column(Text)
    restored_from: Mapped[int | None]
    """The number of the version whose words these are; 0 is the default that ships."""
    created_at_ms: Mapped[int] = mapped_column(Millis)
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))

    created_by: Mapped[Account | None] = relationship()


def current_block_version(key: str) -> ContentVersion | None:
    """The version in force; None while it is the default."""
    query = select(ContentVersion).where(ContentVersion.key == key).order_by(ContentVersion.number.desc()).limit(1)
    return db.session.scalar(query)


def current_block_versions() -> dict[str, ContentVersion]:
    """The version in force of every block that has one, by key."""
    latest = select(ContentVersion.key, func.max(ContentVersion.number).label("number")).group_by(ContentVersion.key)
    newest = latest.subquery()
    query = (
        select(ContentVersion)
        .join(newest, (ContentVersion.key == newest.c.key) & (ContentVersion.number == newest.c.number))
        .options(joinedload(ContentVersion.created_by))
    )
    return {version.key: version for version in db.session.scalars(query)}


def block_versions(key: str) -> list[ContentVersion]:
    """All of them, the newest first."""
    query = (
        select(ContentVersion)
        .where(ContentVersion.key == key)
        .order_by(ContentVersion.number.desc())
        .options(joinedload(ContentVersion.created_by))
    )
    return list(db.session.scalars(query))

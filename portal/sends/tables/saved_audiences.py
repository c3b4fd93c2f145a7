"""Saved audiences: definitions with a name."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ForeignKey, Index, Select, Text, select, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.accounts.tables.accounts import Account
from portal.core.column_types import STRICT, BigIntKey, Json, Millis
from portal.core.extensions import Base, db
from portal.core.keyset import SortColumns
from portal.core.rules.case_folding import fold_case

_WHERE_IN_USE: dict[str, Any] = dict.fromkeys(("sqlite_where", "postgresql_where"), text("archived_at_ms IS NULL"))


class SavedAudience(Base):
    """`definition` is an audience (`sends.tables.audience`). `version` counts its changes.

    `name_folded` is unique among those that are not archived.
    """

    __tablename__ = "saved_audience"
    __table_args__ = (Index("uq_saved_audience_name", "name_folded", unique=True, **_WHERE_IN_USE), STRICT)

    id: Mapped[int] = mapped_column(BigIntKey, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    name_folded: Mapped[str] = mapped_column(Text)
    definition: Mapped[Any] = mapped_column(Json)
    version: Mapped[int] = mapped_column(default=1)
    created_at_ms: Mapped[int] = mapped_column(Millis)
    changed_at_ms: Mapped[int] = mapped_column(Millis)
    changed_by_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    archived_at_ms: Mapped[int | None] = mapped_column(Millis)

    changed_by: Mapped[Account | None] = relationship()


BY_NAME: SortColumns = (SavedAudience.name_folded, SavedAudience.id)


def saved_audiences() -> Select[SavedAudience]:
    """Those that are not archived."""
    return select(SavedAudience).where(SavedAudience.archived_at_ms.is_(None))


def saved_audience_names() -> dict[int, str]:
    """By id, in order of the names."""
    return {row.id: row.name for row in db.session.scalars(saved_audiences().order_by(*BY_NAME))}


def find_saved_audience(name: str) -> SavedAudience | None:
    """By its name in any case; None if it is archived."""
    return db.session.scalar(saved_audiences().where(SavedAudience.name_folded == fold_case(name)))


def definition_of(audience_id: Any) -> Mapping[str, Any] | None:
    """None if the saved audience does not exist or is archived."""
    is_id = type(audience_id) is int and 0 < audience_id < 2**63
    row = db.session.get(SavedAudience, audience_id) if is_id else None
    return None if row is None or row.archived_at_ms is not None else row.definition


def saved_audience_name(audience_id: int) -> str:
    """Also of an archived one; empty if there is none."""
    return db.session.scalar(select(SavedAudience.name).where(SavedAudience.id == audience_id)) or ""

"""Attributes: what an organisation keeps of its accounts beyond name, email and type."""

from typing import Any

from sqlalchemy import REAL, Double, ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from portal.core.column_types import STRICT, BigIntKey, Json, Millis
from portal.core.extensions import Base


class Attribute(Base):
    """`key` names it in templates, files and commands; `choices` are the values of a choice."""

    __tablename__ = "attribute"
    __table_args__ = (STRICT,)

    id: Mapped[int] = mapped_column(BigIntKey, primary_key=True)
    key: Mapped[str] = mapped_column(Text, unique=True)
    label: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    choices: Mapped[Any] = mapped_column(Json, default=list)
    created_at_ms: Mapped[int] = mapped_column(Millis)
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("account.id"))


class AttributeValue(Base):
    """`value` is what people read: a date as YYYY-MM-DD. Conditions compare `comparable` (folded), or `number`.

    An account without a value has no row.
    """

    __tablename__ = "attribute_value"
    __table_args__ = (
        Index("ix_attribute_value_comparable", "attribute_id", "comparable", "account_id"),
        Index("ix_attribute_value_number", "attribute_id", "number", "account_id"),
        STRICT,
    )

    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), primary_key=True)
    attribute_id: Mapped[int] = mapped_column(ForeignKey("attribute.id"), primary_key=True)
    value: Mapped[str] = mapped_column(Text)
    comparable: Mapped[str] = mapped_column(Text)
    number: Mapped[float | None] = mapped_column(Double().with_variant(REAL(), "sqlite"))

"""Attributes: what an organisation keeps of its accounts beyond name, email and type."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import REAL, ColumnElement, Double, ForeignKey, Index, Text, and_, delete, func, select, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.accounts.rules.attribute_values import AttributeDefinition, CheckedValue
from portal.accounts.tables.accounts import Account, Recipient
from portal.core.column_types import STRICT, BigIntKey, Json, Millis
from portal.core.extensions import Base, db
from portal.core.rules.case_folding import fold_case
from portal.core.statements import bulk_insert, upsert_many

_BATCH_SIZE = 1_000
_WHERE_NUMBER: dict[str, Any] = dict.fromkeys(("sqlite_where", "postgresql_where"), text("number IS NOT NULL"))


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

    @property
    def definition(self) -> AttributeDefinition:
        return AttributeDefinition(self.key, self.label, self.kind, tuple(self.choices))


class AttributeValue(Base):
    """`value` is what people read: a date as YYYY-MM-DD. Conditions compare `comparable` (folded), or `number`.

    An account without a value has no row.
    """

    __tablename__ = "attribute_value"
    __table_args__ = (
        Index("ix_attribute_value_comparable", "attribute_id", "comparable", "account_id"),
        Index("ix_attribute_value_number", "attribute_id", "number", "account_id", **_WHERE_NUMBER),
        # All values of an attribute in order of the accounts, for audiences.
        Index("ix_attribute_value_account", "attribute_id", "account_id", "comparable", "number"),
        STRICT,
    )

    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), primary_key=True)
    attribute_id: Mapped[int] = mapped_column(ForeignKey("attribute.id"), primary_key=True)
    value: Mapped[str] = mapped_column(Text)
    comparable: Mapped[str] = mapped_column(Text)
    number: Mapped[float | None] = mapped_column(Double().with_variant(REAL(), "sqlite"))


def all_attributes() -> list[Attribute]:
    """In order of their labels."""
    return list(db.session.scalars(select(Attribute).order_by(func.lower(Attribute.label), Attribute.id)))


def find_attribute(key: str) -> Attribute | None:
    return db.session.scalar(select(Attribute).where(Attribute.key == key))


def values_of(account_ids: Sequence[int], keys: Collection[str] | None = None) -> dict[int, dict[str, str]]:
    """The values by account and key, of all attributes or of those with these keys. Blank ones are left out."""
    query = select(AttributeValue.account_id, Attribute.key, AttributeValue.value).join(
        Attribute, Attribute.id == AttributeValue.attribute_id
    )
    if keys is not None:
        query = query.where(Attribute.key.in_(keys))
    values: dict[int, dict[str, str]] = defaultdict(dict)
    for start in range(0, len(account_ids), _BATCH_SIZE):
        batch = account_ids[start : start + _BATCH_SIZE]
        for account_id, key, value in db.session.execute(query.where(AttributeValue.account_id.in_(batch))):
            values[account_id][key] = value
    return dict(values)


def with_attributes(recipients: Sequence[Recipient], keys: Collection[str] | None = None) -> list[Recipient]:
    """The recipients with their values: all, or those with these keys, blank ones included.

    If `keys` is empty, none are read.
    """
    if keys is not None and not keys:
        return list(recipients)
    values, blank = values_of([recipient.id for recipient in recipients], keys), dict.fromkeys(keys or (), "")
    return [recipient._replace(attributes=blank | values.get(recipient.id, {})) for recipient in recipients]


def has_values(keys: Collection[str]) -> ColumnElement[bool]:
    """Whether the account of the query around it has a value for each of these attributes."""
    return and_(*(_has_value(key) for key in keys))


def _has_value(key: str) -> ColumnElement[bool]:
    attribute_id = select(Attribute.id).where(Attribute.key == key).scalar_subquery()
    values = select(AttributeValue.account_id).where(AttributeValue.attribute_id == attribute_id)
    return values.where(AttributeValue.account_id == Account.id).correlate(Account).exists()


def count_values() -> dict[int, int]:
    """How many accounts have a value, by the id of the attribute."""
    counts = select(AttributeValue.attribute_id, func.count()).group_by(AttributeValue.attribute_id)
    return {attribute_id: count for attribute_id, count in db.session.execute(counts)}


def count_choice(attribute_id: int, choice: str) -> int:
    """How many accounts have this value, regardless of case."""
    query = select(func.count()).select_from(AttributeValue).where(AttributeValue.attribute_id == attribute_id)
    return db.session.scalar(query.where(AttributeValue.comparable == fold_case(choice))) or 0


def insert_values(values: Iterable[tuple[int, Mapping[str, CheckedValue]]], attribute_ids: Mapping[str, int]) -> None:
    """For accounts that have none yet: the id of each account, and its values by key."""
    rows = [
        {"account_id": account_id, "attribute_id": attribute_ids[key], **vars(value)}
        for account_id, values_by_key in values
        for key, value in values_by_key.items()
    ]
    bulk_insert(AttributeValue, rows, ["account_id", "attribute_id"])


def put_values(rows: Sequence[dict[str, Any]]) -> None:
    """Replace values: rows with all columns of `AttributeValue`."""
    upsert_many(AttributeValue, rows, ["account_id", "attribute_id"])


def put_value(account_id: int, attribute_id: int, value: CheckedValue | None) -> None:
    """Replace the value of an account; None removes it."""
    row = {"account_id": account_id, "attribute_id": attribute_id}
    if value is None:
        db.session.execute(delete(AttributeValue).filter_by(**row))
    else:
        put_values([row | vars(value)])

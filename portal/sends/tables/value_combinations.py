"""Combinations of values that accounts have: the columns of which a template, filled in, may fail."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, case, func, literal, select, tuple_

from portal.accounts.tables.accounts import Account
from portal.accounts.tables.attributes import Attribute, AttributeValue, has_values
from portal.content.rules.analysis.merge_risks import RiskyFields

HAS_VALUE = "1"
"""Stands for any value of a field of which only matters whether there is one."""
_COLUMNS: dict[str, Any] = {
    "name": Account.name,
    "first_name": Account.name,
    "email": Account.email,
    "external_id": Account.external_id,
    "account_type": Account.account_type,
}


def value_columns(fields: RiskyFields) -> dict[str, ColumnElement[str]]:
    """What tells the people apart, by the name of the field; blank is ""."""
    columns: dict[str, ColumnElement[str]] = {name: _COLUMNS.get(name, _attribute_text(name)) for name in fields.exact}
    return columns | {name: _presence(name) for name in fields.blank if name not in _COLUMNS}


def _attribute_text(key: str) -> ColumnElement[str]:
    attribute_id = select(Attribute.id).where(Attribute.key == key).scalar_subquery()
    value = select(AttributeValue.value).where(AttributeValue.attribute_id == attribute_id)
    value = value.where(AttributeValue.account_id == Account.id).correlate(Account)
    return func.coalesce(value.scalar_subquery(), "")


def _presence(key: str) -> ColumnElement[str]:
    return case((has_values([key]), literal(HAS_VALUE)), else_=literal(""))


def has_combination(combinations: Mapping[str, Any]) -> ColumnElement[bool]:
    """Whether the account of the query around it has one of the `rows` of values of the `fields`."""
    columns = list(value_columns(combinations["fields"]).values())
    rows: Collection[Sequence[str]] = combinations["rows"]
    if len(columns) == 1:
        return columns[0].in_([row[0] for row in rows])
    return tuple_(*columns).in_([tuple(row) for row in rows])

"""Attributes of the demo's accounts. Some accounts lack a value, as in every register."""

from datetime import UTC, datetime, timedelta
from itertools import cycle

from sqlalchemy import select

from portal.accounts import attribute_management
from portal.accounts.rules.attribute_values import AttributeDefinition, AttributeKind, CheckedValue
from portal.accounts.tables import attributes
from portal.accounts.tables.accounts import Account
from portal.core.transaction import transaction

_REGIONS = ("North", "South", "East", "West")
_ATTRIBUTES = (
    AttributeDefinition("expires_on", "Expires on", AttributeKind.DATE),
    AttributeDefinition("region", "Region", AttributeKind.CHOICE, _REGIONS),
    AttributeDefinition("credits", "Credits", AttributeKind.NUMBER),
)
_FIRST_EXPIRY_DAYS, _DAYS_APART = -9, 6


def load_attributes(now_ms: int, created_at_ms: int) -> None:
    """Skip what exists. The dates are from some days ago to half a year ahead, so that reminders are due."""
    for new in _ATTRIBUTES:
        if attributes.find_attribute(new.key) is None:
            attribute_management.add_attribute(new, None, created_at_ms)
    today = datetime.fromtimestamp(now_ms / 1000, UTC).date() + timedelta(days=_FIRST_EXPIRY_DAYS)
    with transaction() as session:
        account_ids = session.scalars(select(Account.id).where(Account.role == "user").order_by(Account.id))
        values = [
            (account_id, _values(index, region, (today + timedelta(days=index * _DAYS_APART)).isoformat()))
            for index, (account_id, region) in enumerate(zip(account_ids, cycle(_REGIONS), strict=False))
        ]
        attributes.insert_values(values, {attribute.key: attribute.id for attribute in attributes.all_attributes()})


def _values(index: int, region: str, expires_on: str) -> dict[str, CheckedValue]:
    texts = {
        "expires_on": expires_on if index % 9 != 5 else "",
        "region": region,
        "credits": str(index * 7 % 25) if index % 3 else "",
    }
    checked = {new.key: new.parse(texts[new.key], "US") for new in _ATTRIBUTES}
    return {key: value for key, value in checked.items() if value}

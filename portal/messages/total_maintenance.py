"""Keeps the totals of deliveries small, and compares them with a recount (ADR 42)."""

from portal.core.extensions import db
from portal.core.transaction import transaction
from portal.messages.tables import delivery_total_upkeep
from portal.messages.tables.delivery_total_upkeep import TotalDifference
from portal.messages.tables.delivery_totals import HOUR_MS

_LATER_HOURS = 48
"""By then nearly all receipts have come."""


def fold_totals() -> None:
    """Add up what the database's sessions have counted apart."""
    with transaction():
        delivery_total_upkeep.fold_shards()
        delivery_total_upkeep.delete_zeros()


def count_earlier_totals(now_ms: int) -> None:
    """Once an hour, so that totals of all time are read from a few rows."""
    hour = now_ms // HOUR_MS - _LATER_HOURS
    if delivery_total_upkeep.are_counted_until(hour):
        return
    with transaction():
        delivery_total_upkeep.count_earlier(hour)


def wrong_totals() -> list[TotalDifference]:
    """Empty if the totals equal a recount."""
    differences = delivery_total_upkeep.differences_from_recount()
    db.session.rollback()
    return differences


def repair_totals() -> None:
    with transaction():
        delivery_total_upkeep.add_differences()

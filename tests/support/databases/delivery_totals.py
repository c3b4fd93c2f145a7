"""Compares the totals of deliveries with a recount."""

from collections import Counter

from sqlalchemy import select

from portal.core.extensions import db
from portal.core.rules.delivery_status import displayed_state
from portal.messages.tables.communications import Communication, Delivery
from portal.messages.tables.delivery_totals import HOUR_MS, DeliveryTotal

Key = tuple[int, str, int, int, str, str, str]


def assert_totals_equal_recount() -> None:
    """For what is in the database, deleted deliveries aside."""
    db.session.rollback()
    assert _stored() == _recount()
    db.session.rollback()


def _recount() -> dict[Key, tuple[int, int]]:
    counts, segments = Counter[Key](), Counter[Key]()
    query = select(Delivery, Communication.kind).join(Communication)
    for delivery, kind in db.session.execute(query.execution_options(populate_existing=True)):
        state = displayed_state(delivery.state, delivery.due_at_ms)
        reason = delivery.reason if state == "skipped" else ""
        hour = delivery.created_at_ms // HOUR_MS
        key = delivery.send_id or 0, delivery.channel, hour, delivery.lane, kind, state, reason
        counts[key] += 1
        segments[key] += delivery.segments
    return {key: (count, segments[key]) for key, count in counts.items()}


def _stored() -> dict[Key, tuple[int, int]]:
    counts, segments = Counter[Key](), Counter[Key]()
    for row in db.session.scalars(select(DeliveryTotal).execution_options(populate_existing=True)):
        key = row.send_id, row.channel, row.hour, row.lane, row.kind, row.state, row.reason
        counts[key] += row.count - row.deleted_count
        segments[key] += row.segments - row.deleted_segments
    return {key: (count, segments[key]) for key, count in counts.items() if count or segments[key]}

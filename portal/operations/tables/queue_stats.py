"""What stands in the lanes and what left them lately, for the page that shows it."""

from collections import defaultdict

from sqlalchemy import case, func, select

from portal.core.extensions import db
from portal.core.process_tables import Heartbeat
from portal.core.rules.delivery_status import UNSENT
from portal.messages.rules.lane_labels import CHANNELS
from portal.messages.tables.communications import Attempt, Delivery
from portal.settings.tables.sending_numbers import SendingNumber


def delivery_counts_by_lane() -> dict[tuple[str, int], dict[str, int]]:
    """Channel and lane to state to how many, of what has still to leave."""
    query = (
        select(Delivery.channel, Delivery.lane, Delivery.state, func.count())
        .where(Delivery.channel.in_(tuple(CHANNELS)), Delivery.state.in_(UNSENT))
        .group_by(Delivery.channel, Delivery.lane, Delivery.state)
    )
    found: dict[tuple[str, int], dict[str, int]] = defaultdict(dict)
    for channel, lane, state, number in db.session.execute(query):
        found[channel, lane][state] = number
    return found


def list_sender_rows() -> list[SendingNumber]:
    return list(
        db.session.scalars(
            select(SendingNumber).order_by(SendingNumber.number).execution_options(populate_existing=True)
        )
    )


def segments_between(since_ms: int, until_ms: int) -> dict[str, int]:
    """Sending number to the segments whose slots lie in that time."""
    query = (
        select(Attempt.sender, func.sum(Delivery.segments))
        .join(Delivery, Delivery.id == Attempt.delivery_id)
        .where(Attempt.slot_at_ms > since_ms, Attempt.slot_at_ms <= until_ms)
        .where(Attempt.sender != "", Attempt.outcome != "released")
        .group_by(Attempt.sender)
    )
    return {sender: int(segments) for sender, segments in db.session.execute(query)}


def heartbeat_summary(since_ms: int) -> dict[str, tuple[int, int]]:
    """Kind of process to how many gave one since then, and when the latest was."""
    alive = func.sum(case((Heartbeat.at_ms >= since_ms, 1), else_=0))
    query = select(Heartbeat.kind, alive, func.max(Heartbeat.at_ms)).group_by(Heartbeat.kind)
    return {kind: (int(running), last_ms) for kind, running, last_ms in db.session.execute(query)}

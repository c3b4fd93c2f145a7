"""What stands in the lanes and what left them lately, for the page that shows it."""

from collections import defaultdict

from sqlalchemy import case, func, select
from sqlalchemy.orm import joinedload

from portal.core.extensions import db
from portal.core.rules.delivery_status import UNSENT
from portal.messages.rules.lane_labels import CHANNELS
from portal.messages.tables.communications import Attempt, Communication, Delivery
from portal.settings.tables.setting_values import Heartbeat, SendingNumber


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


def unresolved_texts(limit: int, send_id: int | None = None) -> list[tuple[Delivery, Attempt]]:
    """Those whose outcome is in doubt, the longest first, with the attempt that is; of one send or of all."""
    query = (
        select(Delivery, Attempt)
        .join(Attempt, Attempt.id == Delivery.attempt_id)
        .where(Delivery.channel == "sms", Delivery.state == "unknown")
        .options(joinedload(Delivery.communication).joinedload(Communication.account))
        .order_by(Attempt.slot_at_ms)
        .limit(limit)
    )
    if send_id is not None:
        query = query.where(Delivery.send_id == send_id)
    return [(delivery, attempt) for delivery, attempt in db.session.execute(query)]


def unresolved_text(delivery_id: int, lock: bool = False) -> tuple[Delivery, Attempt] | None:
    query = select(Delivery, Attempt).join(Attempt, Attempt.id == Delivery.attempt_id)
    query = query.where(Delivery.id == delivery_id, Delivery.channel == "sms", Delivery.state == "unknown")
    if lock:
        query = query.with_for_update(of=Delivery)
    row = db.session.execute(query.execution_options(populate_existing=True)).first()
    return None if row is None else (row[0], row[1])


def heartbeat_summary(since_ms: int) -> dict[str, tuple[int, int]]:
    """Kind of process to how many gave one since then, and when the latest was."""
    alive = func.sum(case((Heartbeat.at_ms >= since_ms, 1), else_=0))
    query = select(Heartbeat.kind, alive, func.max(Heartbeat.at_ms)).group_by(Heartbeat.kind)
    return {kind: (int(running), last_ms) for kind, running, last_ms in db.session.execute(query)}

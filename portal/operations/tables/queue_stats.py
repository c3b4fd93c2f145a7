"""Queries for the queue overview: what is in the lanes, what left them recently, and which processes run."""

from collections import Counter, defaultdict

from sqlalchemy import case, func, select

from portal.core.coordination import Heartbeat
from portal.core.extensions import db
from portal.core.rules.delivery_status import UNSENT
from portal.messages.rules.attempt_outcome import AttemptOutcome
from portal.messages.tables.communications import Attempt, Delivery
from portal.messages.tables.delivery_totals import totals
from portal.settings.tables.sending_numbers import SendingNumber


def delivery_counts_by_lane() -> dict[tuple[str, int], Counter[str]]:
    """The number of unsent deliveries by channel and lane, then by state."""
    counts: dict[tuple[str, int], Counter[str]] = defaultdict(Counter)
    for (channel, lane, state), total in totals(("channel", "lane", "state"), states=UNSENT).items():
        counts[channel, lane][state] = total.count
    return counts


def list_sender_rows() -> list[SendingNumber]:
    query = select(SendingNumber).order_by(SendingNumber.number)
    return list(db.session.scalars(query.execution_options(populate_existing=True)))


def segments_between(since_ms: int, until_ms: int) -> dict[str, int]:
    """The segments whose slots lie in that time, by sending number."""
    query = (
        select(Attempt.sender, func.sum(Delivery.segments))
        .join(Delivery, Delivery.id == Attempt.delivery_id)
        .where(Attempt.slot_at_ms > since_ms, Attempt.slot_at_ms <= until_ms)
        .where(Attempt.sender != "", Attempt.outcome != AttemptOutcome.RELEASED)
        .group_by(Attempt.sender)
    )
    return {sender: int(segments) for sender, segments in db.session.execute(query)}


def heartbeat_summary(since_ms: int) -> dict[str, tuple[int, int]]:
    """By kind of process: how many had a heartbeat since then, and the time of the last one."""
    recent = func.sum(case((Heartbeat.at_ms >= since_ms, 1), else_=0))
    query = select(Heartbeat.kind, recent, func.max(Heartbeat.at_ms)).group_by(Heartbeat.kind)
    return {kind: (int(count), last_ms) for kind, count, last_ms in db.session.execute(query)}

"""How far things are: counts by channel and state, and what waits."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from sqlalchemy import func, select

from portal.domain.status import STATES
from portal.extensions import db
from portal.models.communication import Delivery

Groups = dict[str, Counter[str]]
"""Channel to group of `domain.status.GROUPS` to how many."""


def counts(send_id: int) -> dict[str, dict[str, int]]:
    """Channel to state to how many, for one send."""
    query = (
        select(Delivery.channel, Delivery.state, func.count())
        .where(Delivery.send_id == send_id)
        .group_by(Delivery.channel, Delivery.state)
    )
    found: dict[str, dict[str, int]] = {"email": {}, "sms": {}}
    for channel, state, number in db.session.execute(query):
        found[channel][state] = number
    return found


def waiting_segments(through_id: int | None = None) -> int:
    """Segments of texts that have still to leave; with `through_id`, up to that delivery only."""
    query = select(func.coalesce(func.sum(Delivery.segments), 0)).where(
        Delivery.channel == "sms", Delivery.state == "ready"
    )
    if through_id is not None:
        query = query.where(Delivery.id <= through_id)
    return int(db.session.scalar(query) or 0)


def last_waiting_text(send_id: int) -> int | None:
    """The id of the send's last text that still waits."""
    query = select(func.max(Delivery.id)).where(
        Delivery.send_id == send_id, Delivery.channel == "sms", Delivery.state == "ready"
    )
    return db.session.scalar(query)


def groups_of(send_ids: Sequence[int]) -> dict[int, Groups]:
    """Send id to its groups, in one query for a page of sends."""
    query = (
        select(Delivery.send_id, Delivery.channel, Delivery.state, func.count())
        .where(Delivery.send_id.in_(send_ids))
        .group_by(Delivery.send_id, Delivery.channel, Delivery.state)
    )
    found: dict[int, Groups] = defaultdict(lambda: {"email": Counter(), "sms": Counter()})
    for send_id, channel, state, number in db.session.execute(query):
        found[send_id or 0][channel][STATES[state].group] += number
    return found


def totals() -> list[tuple[str, str, int]]:
    """Channel, state and how many, over everything."""
    query = select(Delivery.channel, Delivery.state, func.count()).group_by(Delivery.channel, Delivery.state)
    return [(channel, state, number) for channel, state, number in db.session.execute(query)]


def oldest_waiting_ms(now_ms: int) -> dict[str, int]:
    """Channel to when its oldest message that may leave now was made."""
    query = (
        select(Delivery.channel, func.min(Delivery.created_at_ms))
        .where(Delivery.state == "ready", Delivery.next_at_ms <= now_ms)
        .group_by(Delivery.channel)
    )
    return {channel: at_ms for channel, at_ms in db.session.execute(query)}

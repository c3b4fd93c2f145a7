"""How far things are: counts by channel and state, and what waits."""

from sqlalchemy import func, select

from portal.extensions import db
from portal.models.communication import Delivery


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

"""What the list of sends shows: the newest first, each with its counts."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from portal.domain.status import STATES
from portal.extensions import db
from portal.models.communication import Delivery
from portal.models.send import Send
from portal.models.template import TemplateVersion

Groups = dict[str, Counter[str]]


def sends_before(before: int | None, limit: int) -> list[Send]:
    query = select(Send).options(joinedload(Send.version).joinedload(TemplateVersion.template))
    if before is not None:
        query = query.where(Send.id < before)
    return list(db.session.scalars(query.order_by(Send.id.desc()).limit(limit)))


def groups_of(send_ids: Sequence[int]) -> dict[int, Groups]:
    """Send id to channel to `domain.status.GROUPS` to how many, in one query for the page."""
    query = (
        select(Delivery.send_id, Delivery.channel, Delivery.state, func.count())
        .where(Delivery.send_id.in_(send_ids))
        .group_by(Delivery.send_id, Delivery.channel, Delivery.state)
    )
    found: dict[int, Groups] = defaultdict(lambda: {"email": Counter(), "sms": Counter()})
    for send_id, channel, state, count in db.session.execute(query):
        found[send_id or 0][channel][STATES[state].group] += count
    return found

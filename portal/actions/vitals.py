"""Whether the parts of the product are there: for the readiness page and for the doctor."""

from collections.abc import Iterable

from portal.causes import ErrorExplanation
from portal.context import settings
from portal.domain.breaker import AWAY_AFTER_MS
from portal.domain.diagnosis import SCHEDULER, WORKER_QUEUE_LABELS
from portal.extensions import db
from portal.gateways import queue
from portal.models import doubts, due, lane, schema
from portal.models.gateway import is_any_away, kinds_alive

ALIVE_WITHIN_MS = 60_000
_YOUNG_DOUBT_MS = 900_000


def database_answers() -> bool:
    """With tables that this version can work with. Raises `SQLAlchemyError` when it does not answer at all."""
    return not schema.lack(schema.stored(db.session.connection()))


def queue_trouble() -> ErrorExplanation | None:
    """Why the queue takes no work at this moment; None when it does."""
    return queue.trouble(settings().redis_url)


def queue_trouble_lately() -> ErrorExplanation | None:
    """As it was within the last seconds, for what every page shows."""
    return queue.trouble_lately(settings().redis_url)


def provider_is_away(numbers: Iterable[str], now_ms: int) -> bool:
    """Whether texts wait for a provider that has not answered for a while, or have just come into doubt at it.

    `numbers` are those in use. As long as any text waits it is asked again. What stays in doubt is put before an
    administrator.
    """
    if not is_any_away(numbers, now_ms - AWAY_AFTER_MS):
        return False
    return due.next_waiting_ms("sms", lane.running("sms")) is not None or doubts.is_any_young(
        "sms", now_ms - _YOUNG_DOUBT_MS
    )


def silent_kinds(now_ms: int) -> set[str]:
    """Kinds of process that gave no sign of life for a minute: of the workers, and the scheduler."""
    return {*WORKER_QUEUE_LABELS, SCHEDULER} - kinds_alive(now_ms - ALIVE_WITHIN_MS)

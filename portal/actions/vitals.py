"""Whether the parts of the product are there: for the readiness page and for the doctor."""

from portal.context import settings
from portal.domain.diagnosis import SCHEDULER, WORKERS
from portal.extensions import db
from portal.gateways import queue
from portal.models import schema
from portal.models.gateway import kinds_alive

ALIVE_WITHIN_MS = 60_000


def database_answers() -> bool:
    """With tables that this version can work with. Raises `SQLAlchemyError` when it does not answer at all."""
    return not schema.lack(schema.stored(db.session.connection()))


def queue_answers() -> bool:
    return queue.ping(settings().redis_url)


def silent_kinds(now_ms: int) -> set[str]:
    """Kinds of process that gave no sign of life for a minute: of the workers, and the scheduler."""
    return {*WORKERS, SCHEDULER} - kinds_alive(now_ms - ALIVE_WITHIN_MS)

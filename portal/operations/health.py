"""Whether the parts of the product are there: for the readiness page and for the doctor."""

from portal.core import schema_version
from portal.core.context import settings
from portal.core.extensions import db
from portal.core.rules.connection_errors import ErrorExplanation
from portal.gateways import queue


def is_database_ready() -> bool:
    """With tables that this version can work with. Raises `SQLAlchemyError` when it does not answer at all."""
    return not schema_version.migration_problem(schema_version.stored_revision(db.session.connection()))


def queue_problem() -> ErrorExplanation | None:
    """Why the queue takes no work at this moment; None when it does."""
    return queue.queue_problem_now(settings().redis_url)


def cached_queue_problem() -> ErrorExplanation | None:
    """As it was within the last seconds, for what every page shows."""
    return queue.cached_problem(settings().redis_url)

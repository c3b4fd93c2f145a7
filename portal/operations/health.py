"""Whether the database and the queue work, for the readiness page, the banner and the diagnostics."""

from portal.core import schema_version
from portal.core.context import settings
from portal.core.extensions import db
from portal.core.rules.connection_errors import ErrorExplanation
from portal.gateways import queue
from portal.sends.provider_availability import is_provider_down
from portal.settings.rules.app_config import GatewayConfig


def is_database_ready() -> bool:
    """Whether the tables fit this version. Raises `SQLAlchemyError` if the database does not answer."""
    return not schema_version.migration_problem(schema_version.stored_revision(db.session.connection()))


def queue_problem() -> ErrorExplanation | None:
    """Why the queue accepts no work now; None if it does."""
    return queue.queue_problem_now(settings().redis_url)


def cached_queue_problem() -> ErrorExplanation | None:
    """`queue_problem` as of a few seconds ago, cheap enough for every page."""
    return queue.cached_problem(settings().redis_url)


def unavailable_provider(gateway: GatewayConfig, at_ms: int) -> str:
    """The SMS provider if it does not answer; "" if it does, or if no texts are to be sent."""
    credentials, sender = gateway.credentials, gateway.sender
    if not gateway.switches.feature_on or credentials is None or sender is None:
        return ""
    return credentials.provider if is_provider_down(sender.sender_assignment.sender_keys, at_ms) else ""

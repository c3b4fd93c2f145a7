"""How the product is: for load balancers, for start-up checks, for Prometheus."""

from collections.abc import Callable
from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, request
from flask.typing import ResponseReturnValue
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from sqlalchemy.exc import SQLAlchemyError

from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.core.rules.process_kinds import SCHEDULER, WORKER_QUEUE_LABELS
from portal.delivery import mail_server_status
from portal.operations import health
from portal.sends import provider_availability
from portal.web.access import has_role, public
from portal.web.metrics import PortalCollector
from portal.web.public_url import original_netloc

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@public
def healthz() -> ResponseReturnValue:
    return Response("ok", mimetype="text/plain")


@blueprint.get("/readyz")
@public
def readyz() -> ResponseReturnValue:
    checks = {"database": _database, "redis": _redis, "workers": _workers, "scheduler": _scheduler}
    found = {name: "ok" if _succeeds(check) else "failing" for name, check in checks.items()}
    ready = set(found.values()) == {"ok"}
    return {**found, "mail_server": "ok" if _succeeds(_mail_server) else "down"}, 200 if ready else 503


@blueprint.get("/metrics")
@public
def metrics() -> ResponseReturnValue:
    if not _is_local_request() and not has_role("sysadmin"):
        abort(404)
    registry = CollectorRegistry()
    registry.register(PortalCollector(now_ms()))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)


def _succeeds(check: Callable[[], bool]) -> bool:
    try:
        return check()
    except SQLAlchemyError:
        db.session.rollback()
        return False


def _database() -> bool:
    return health.is_database_ready()


def _redis() -> bool:
    """It must take a write: one that is full or read-only answers, and takes no work."""
    return health.queue_problem() is None


def _workers() -> bool:
    return not provider_availability.missing_process_kinds(now_ms()) & set(WORKER_QUEUE_LABELS)


def _scheduler() -> bool:
    return SCHEDULER not in provider_availability.missing_process_kinds(now_ms())


def _mail_server() -> bool:
    """Told, but no reason to send visitors elsewhere: mail waits for its server, and pages work."""
    return mail_server_status.mail_server_status().down_since_ms is None


def _is_local_request() -> bool:
    """A caller behind a proxy on this machine has a loopback address too, but the proxy says for whom it asks."""
    proxied = "X-Forwarded-For" in request.headers or "Forwarded" in request.headers
    if urlsplit(f"//{original_netloc()}").hostname not in ("127.0.0.1", "localhost", "::1"):
        return False
    return not proxied and ip_address(request.remote_addr or "0.0.0.0").is_loopback  # noqa: S104

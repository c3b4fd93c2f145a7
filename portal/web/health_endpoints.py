"""Liveness, readiness and metrics for load balancers, start-up checks and Prometheus."""

from collections.abc import Callable
from hmac import compare_digest
from ipaddress import ip_address

from flask import Blueprint, Response, abort, request
from flask.typing import ResponseReturnValue
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from sqlalchemy.exc import SQLAlchemyError

from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.extensions import db
from portal.core.rules.process_kinds import SCHEDULER, WORKER_QUEUE_LABELS
from portal.delivery import mail_server_status
from portal.operations import health
from portal.sends import provider_availability
from portal.web.access import has_role, public
from portal.web.authentication.second_factor_gate import must_set_up_second_factor
from portal.web.metrics import PortalCollector
from portal.web.public_url import original_host

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@public
def healthz() -> ResponseReturnValue:
    return Response("ok", mimetype="text/plain")


@blueprint.get("/readyz")
@public
def readyz() -> ResponseReturnValue:
    """An unavailable mail server is reported but does not fail readiness: emails wait, and pages work."""
    _require_operator()
    results = {name: "ok" if _succeeds(check) else "failing" for name, check in _READINESS_CHECKS.items()}
    is_ready = set(results.values()) == {"ok"}
    return {**results, "mail_server": "ok" if _succeeds(_is_mail_server_up) else "down"}, 200 if is_ready else 503


@blueprint.get("/metrics")
@public
def metrics() -> ResponseReturnValue:
    _require_operator()
    registry = CollectorRegistry()
    registry.register(PortalCollector(now_ms()))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)


def _require_operator() -> None:
    if not (_is_local_request() or _has_token() or _is_sysadmin()):
        abort(404)


def _is_sysadmin() -> bool:
    """Public pages are open without a second factor; what these tell is not."""
    return has_role("sysadmin") and not must_set_up_second_factor()


def _has_token() -> bool:
    """The header as it was sent: Werkzeug fails at one that is not ASCII."""
    expected, (scheme, _space, token) = (
        settings().metrics_token,
        request.headers.get("Authorization", "").partition(" "),
    )
    return bool(expected) and scheme.lower() == "bearer" and compare_digest(token.strip().encode(), expected.encode())


def _succeeds(check: Callable[[], bool]) -> bool:
    try:
        return check()
    except SQLAlchemyError:
        db.session.rollback()
        return False


def _are_workers_running() -> bool:
    return not provider_availability.missing_process_kinds(now_ms()) & set(WORKER_QUEUE_LABELS)


def _is_mail_server_up() -> bool:
    return mail_server_status.mail_server_status().down_since_ms is None


_READINESS_CHECKS: dict[str, Callable[[], bool]] = {
    "database": health.is_database_ready,
    "redis": lambda: health.queue_problem() is None,
    "workers": _are_workers_running,
    "scheduler": lambda: SCHEDULER not in provider_availability.missing_process_kinds(now_ms()),
}


def _is_local_request() -> bool:
    """Callers behind a proxy on this machine have a loopback address too, but the proxy adds headers."""
    proxied = "X-Forwarded-For" in request.headers or "Forwarded" in request.headers
    if original_host() not in ("127.0.0.1", "localhost", "::1"):
        return False
    return not proxied and ip_address(request.remote_addr or "0.0.0.0").is_loopback  # noqa: S104

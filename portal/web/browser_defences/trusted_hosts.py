"""Only requests to the portal's own names are answered, so that no other name can stand in for it (ADR 64)."""

from urllib.parse import urlsplit

import structlog
from flask import Flask, request
from werkzeug.exceptions import BadRequest

from portal.core.context import settings
from portal.core.rules.transport.loopback import is_loopback
from portal.web.public_url import original_netloc
from portal.web.request_input import is_webhook_request

_OPEN_ENDPOINT = "health.healthz"
"""Load balancers call it by address, and it tells nothing."""
_MAX_LOGGED_LENGTH = 200
_log = structlog.get_logger(__name__)


class UntrustedHost(BadRequest):
    """The request names a host that is not the portal's."""


def init_app(app: Flask) -> None:
    app.before_request(_check_host)


def _check_host() -> None:
    """A webhook's signature names its address, and the diagnostics say which other one was called."""
    if request.endpoint != _OPEN_ENDPOINT and not is_webhook_request() and not _is_trusted(original_netloc()):
        host = ascii(original_netloc())[:_MAX_LOGGED_LENGTH]
        _log.warning("request rejected: untrusted host", host=host, public_url=settings().public_url)
        raise UntrustedHost


def _is_trusted(netloc: str) -> bool:
    """Whatever the port: proxies may lose it. This machine is trusted, because nobody else can answer to its names."""
    host = _host_name(netloc)
    trusted = (_host_name(urlsplit(settings().public_url).netloc), *settings().trusted_hosts)
    return bool(host) and (is_loopback(host) or host in trusted)


def _host_name(netloc: str) -> str:
    """In ASCII and lower case, as browsers send it; "" if it is not valid."""
    try:
        parts = urlsplit(f"//{netloc}")
        is_host = parts.netloc == netloc and "@" not in netloc
        host = (parts.hostname or "").rstrip(".") if is_host else ""
        return host if ":" in host else host.encode("idna").decode()
    except ValueError:
        return ""

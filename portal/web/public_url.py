"""The address that people see is that of the settings, whatever a proxy or a caller says.

Proxies differ in what they pass on: nginx sends its upstream as Host unless told otherwise, a balancer may lose the
scheme, a caller may say anything. So neither decides where a redirect leads or which origin a form may come from.
"""

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

import structlog
from flask import Flask, request
from werkzeug.exceptions import BadRequest

from portal.core.context import settings
from portal.core.production_checks import is_loopback

Origin = tuple[str, str, int]
_PORTS = {"http": 80, "https": 443}
_WEBHOOK_PREFIX = "/webhooks/"
"""Called without a session; their signature says who calls."""
_MAX_LOGGED_LENGTH = 200
_ORIGINAL_HOST_KEY = "portal.called_host"
_log = structlog.get_logger(__name__)


class CrossOriginRequest(BadRequest):
    """A form was sent from a page at another address than the portal's own."""


class PublicUrlMiddleware:
    """A WSGI app to which every request seems to have come at the public address."""

    def __init__(self, app: Callable[..., Iterable[bytes]], public_url: str) -> None:
        scheme, host, port = _parse_origin(public_url) or ("http", "localhost", 80)
        bracketed = f"[{host}]" if ":" in host else host
        self._app, self._scheme = app, scheme
        self._host = bracketed if port == _PORTS[scheme] else f"{bracketed}:{port}"

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ |= {
            _ORIGINAL_HOST_KEY: environ.get("HTTP_HOST", ""),
            "HTTP_HOST": self._host,
            "wsgi.url_scheme": self._scheme,
            "SCRIPT_NAME": "",
        }
        return self._app(environ, start_response)


def init_app(app: Flask) -> None:
    app.wsgi_app = PublicUrlMiddleware(app.wsgi_app, app.config["PORTAL"].public_url)  # type: ignore[method-assign]
    app.before_request(_check_origin)


def original_netloc() -> str:
    """Host and port by which the caller, or a proxy before us, asked: a clue at most, since callers choose it."""
    return str(request.environ.get(_ORIGINAL_HOST_KEY, ""))


def is_own_origin(address: str) -> bool:
    """Whether an address or an origin is on the portal's own; `null` and what is no address are not."""
    own, other = _parse_origin(settings().public_url), _parse_origin(address)
    if own is None or other is None:
        return False
    return own == other or (_is_loopback_origin(own) and _is_loopback_origin(other) and own[::2] == other[::2])


def _check_origin() -> None:
    """Browsers name the origin of every form; only what is no browser sends neither header, and it has no session."""
    if request.method in ("GET", "HEAD", "OPTIONS", "TRACE") or request.path.startswith(_WEBHOOK_PREFIX):
        return
    told = request.headers.get("Origin") or request.headers.get("Referer")
    from_elsewhere = request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")
    if from_elsewhere or (told and not is_own_origin(told)):
        _log.warning(
            "form rejected: foreign origin",
            origin=ascii(told)[:_MAX_LOGGED_LENGTH],
            public_url=settings().public_url,
        )
        raise CrossOriginRequest


def _is_loopback_origin(origin: Origin) -> bool:
    return is_loopback(origin[1])


def _parse_origin(address: str) -> Origin | None:
    """Scheme, host and port as browsers compare them: in lower case, IDNA, with the port that a scheme implies."""
    try:
        parts = urlsplit(address)
        host = (parts.hostname or "").encode("idna").decode() if ":" not in (parts.hostname or "") else parts.hostname
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    return (parts.scheme, host, port) if host else None

"""The portal's address is the configured one, whatever a proxy or a caller sends.

Proxies differ in what they pass on: nginx sends its upstream's name as Host by default, load balancers may lose the
scheme, and callers may send anything. So neither decides where a redirect leads or which origins may send forms.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import structlog
from flask import Flask, request
from werkzeug.exceptions import BadRequest

from portal.core.context import settings
from portal.core.rules.transport.loopback import is_loopback
from portal.settings.installation import settings_last_read
from portal.web.request_input import is_webhook_request

Origin = tuple[str, str, int]
_PORTS = {"http": 80, "https": 443}
_MAX_LOGGED_LENGTH = 200
_ORIGINAL_HOST_KEY = "portal.called_host"
_log = structlog.get_logger(__name__)


class CrossOriginRequest(BadRequest):
    """A form was sent from a page that is not at the portal's own address."""


class PublicUrlMiddleware:
    """Makes every request look as if it had come to the public URL."""

    def __init__(self, app: Callable[..., Iterable[bytes]], public_url: Callable[[], str]) -> None:
        self._app, self._public_url = app, public_url

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        scheme, host = _scheme_and_host(self._public_url())
        environ |= {
            _ORIGINAL_HOST_KEY: environ.get("HTTP_HOST", ""),
            "HTTP_HOST": host,
            "wsgi.url_scheme": scheme,
            "SCRIPT_NAME": "",
        }
        return self._app(environ, start_response)


@lru_cache(maxsize=4)
def _scheme_and_host(public_url: str) -> tuple[str, str]:
    scheme, host, port = _parse_origin(public_url) or ("http", "localhost", 80)
    bracketed = f"[{host}]" if ":" in host else host
    return scheme, bracketed if port == _PORTS[scheme] else f"{bracketed}:{port}"


def init_app(app: Flask) -> None:
    app.wsgi_app = PublicUrlMiddleware(app.wsgi_app, lambda: settings_last_read(app).public_url)  # type: ignore[method-assign]
    app.before_request(_check_origin)


def original_netloc() -> str:
    """Host and port in the request of the caller or the proxy. Do not trust it: callers choose it."""
    return str(request.environ.get(_ORIGINAL_HOST_KEY, ""))


def original_host() -> str:
    """Without the port; "" if the caller sent no valid one."""
    origin = _parse_origin(f"http://{original_netloc()}")
    return origin[1] if origin else ""


def is_own_origin(address: str) -> bool:
    """Whether a URL or an origin belongs to the portal; False for `null` and invalid URLs.

    Where `portal up` listens belongs to it too, so that a public address that leads nowhere can be corrected there.
    """
    own_addresses = [settings().public_url]
    if "PORTAL_LOCAL_URL" in settings().from_environment:
        own_addresses.append(settings().local_url)
    other = _parse_origin(address)
    return other is not None and any(_is_same_origin(_parse_origin(own), other) for own in own_addresses)


def _is_same_origin(own: Origin | None, other: Origin) -> bool:
    """The names of this machine are the same."""
    if own is None:
        return False
    return own == other or (is_loopback(own[1]) and is_loopback(other[1]) and own[::2] == other[::2])


def _check_origin() -> None:
    """Browsers send the origin of every form. Other clients may send neither header, but they have no session."""
    if request.method in ("GET", "HEAD", "OPTIONS", "TRACE") or is_webhook_request():
        return
    origin = request.headers.get("Origin") or request.headers.get("Referer")
    is_foreign = request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")
    if is_foreign or (origin and not is_own_origin(origin)):
        logged_origin = ascii(origin)[:_MAX_LOGGED_LENGTH]
        _log.warning("form rejected: foreign origin", origin=logged_origin, public_url=settings().public_url)
        raise CrossOriginRequest


def _parse_origin(address: str) -> Origin | None:
    """Scheme, host and port as browsers compare them: lower case, IDNA, with the default port of the scheme."""
    try:
        parts = urlsplit(address)
        host = (parts.hostname or "").encode("idna").decode() if ":" not in (parts.hostname or "") else parts.hostname
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    return (parts.scheme, host, port) if host else None

"""Other sites may link to pages, but neither load nor frame them (ADR 64).

`public_url` refuses their forms. Browsers set these headers and pages cannot; a client without them has no session
that a site could use.
"""

from flask import Flask, request
from werkzeug.exceptions import BadRequest

from portal.web.request_input import is_webhook_request

FOREIGN_SITES = ("cross-site", "same-site")
_OPEN_ENDPOINTS = ("organisation.logo", "health.healthz")
"""Web mail shows the logo."""


class ForeignSubresource(BadRequest):
    """Another site loads an address of the portal as a part of its own page."""


def init_app(app: Flask) -> None:
    app.before_request(_check_fetch_metadata)


def _check_fetch_metadata() -> None:
    if request.method not in ("GET", "HEAD") or request.endpoint in _OPEN_ENDPOINTS or is_webhook_request():
        return
    if request.headers.get("Sec-Fetch-Site") in FOREIGN_SITES and not _follows_link():
        raise ForeignSubresource


def _follows_link() -> bool:
    """Whether a window goes to the address, as after a click."""
    mode = request.headers.get("Sec-Fetch-Mode", "navigate")
    return mode == "navigate" and request.headers.get("Sec-Fetch-Dest", "document") == "document"

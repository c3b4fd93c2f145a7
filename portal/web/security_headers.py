"""Headers of every response, and cache-busting hashes for static files."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import Flask, Response, current_app, request

from portal.core.context import settings

REPORTS_PATH = "/csp-reports"
_REPORTS_ENDPOINT = "csp"
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types htmx-fragment; "
    f"report-uri {REPORTS_PATH}; report-to {_REPORTS_ENDPOINT}"
)
"""Trusted Types: only the policy in `static/modules/htmx_policy.js` makes HTML of a string."""
EMAIL_PREVIEW_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; sandbox; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)
"""For an email shown in a frame: its own styles, but no scripts, requests or navigation."""
_UNUSED_FEATURES = (
    *("accelerometer", "autoplay", "camera", "display-capture", "encrypted-media", "geolocation"),
    *("gyroscope", "hid", "idle-detection", "local-fonts", "magnetometer", "microphone", "midi", "payment"),
    *("picture-in-picture", "screen-wake-lock", "serial", "usb", "window-management", "xr-spatial-tracking"),
)
_PERMISSIONS_POLICY = ", ".join(f"{feature}=()" for feature in _UNUSED_FEATURES)
_HSTS_OPTIONS = {"subdomains": "; includeSubDomains", "host": ""}
_YEAR_SECONDS = 365 * 24 * 3600


def init_app(app: Flask) -> None:
    app.after_request(_set_headers)
    app.url_defaults(_add_content_hash)


def _set_headers(response: Response) -> Response:
    response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
    response.headers["X-Content-Type-Options"] = "nosniff"
    if settings().secure_cookies:
        response.headers["Strict-Transport-Security"] = f"max-age={_YEAR_SECONDS}{_HSTS_OPTIONS[settings().hsts]}"
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["X-Frame-Options"] = "SAMEORIGIN"  # older browsers and scanners; the policy says more
    response.headers["Permissions-Policy"] = _PERMISSIONS_POLICY
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    response.headers["Reporting-Endpoints"] = f'{_REPORTS_ENDPOINT}="{REPORTS_PATH}"'
    if request.endpoint == "static" and response.status_code in (200, 304):
        response.headers["Cache-Control"] = _static_cache_control()
    elif not response.cache_control.immutable:
        response.headers["Cache-Control"] = "private, no-store"
    return response


def _static_cache_control() -> str:
    """A URL with the right hash may be cached forever; without it, the browser must revalidate."""
    path = Path(current_app.static_folder or "") / str((request.view_args or {}).get("filename", ""))
    is_current = path.is_file() and request.args.get("v") == _content_hash(path, path.stat().st_mtime_ns)
    return f"public, max-age={_YEAR_SECONDS}, immutable" if is_current else "no-cache"


def _add_content_hash(endpoint: str, values: dict[str, Any]) -> None:
    if endpoint == "static" and "v" not in values:
        path = Path(current_app.static_folder or "") / values["filename"]
        values["v"] = _content_hash(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=256)
def _content_hash(path: Path, _changed_at_ns: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]

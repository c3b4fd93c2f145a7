"""Headers of every answer, and files of `static/` by their hash."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import Flask, Response, current_app, request

from portal.core.context import settings

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
)
EMAIL_PREVIEW_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; sandbox; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)
"""For a mail shown in a frame of ours: its own styles, and nothing that runs, loads or leads anywhere."""
_YEAR_SECONDS = 365 * 24 * 3600


def init_app(app: Flask) -> None:
    app.after_request(_set_headers)
    app.url_defaults(_add_content_hash)


def _set_headers(response: Response) -> Response:
    response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
    response.headers["X-Content-Type-Options"] = "nosniff"
    if settings().secure_cookies:
        response.headers["Strict-Transport-Security"] = f"max-age={_YEAR_SECONDS}"
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    if request.endpoint == "static" and response.status_code in (200, 304):
        response.headers["Cache-Control"] = _static_cache_control()
    else:
        response.headers["Cache-Control"] = "private, no-store"
    return response


def _static_cache_control() -> str:
    """With its hash an address always means the same bytes; without, the browser asks again."""
    path = Path(current_app.static_folder or "") / str((request.view_args or {}).get("filename", ""))
    known = path.is_file() and request.args.get("v") == _content_hash(path, path.stat().st_mtime_ns)
    return f"public, max-age={_YEAR_SECONDS}, immutable" if known else "no-cache"


def _add_content_hash(endpoint: str, values: dict[str, Any]) -> None:
    if endpoint == "static" and "v" not in values:
        path = Path(current_app.static_folder or "") / values["filename"]
        values["v"] = _content_hash(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=256)
def _content_hash(path: Path, _changed_at_ns: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]

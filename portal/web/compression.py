"""Compresses static files, which never change under one address, and pages where compression gives nothing away.

A compressed page that holds a secret and repeats what the request says lets another site find out the secret from the
sizes of many answers (BREACH). Only a request that another site cannot cause is answered compressed.
"""

import gzip
from functools import lru_cache
from pathlib import Path

from flask import Flask, Response, current_app, request

_STATIC_TYPES = ("text/css", "text/javascript", "image/svg+xml")
_OWN_REQUESTS = ("same-origin", "none")
"""Values of Sec-Fetch-Site, which browsers set and pages cannot: from our own pages, or by the person directly."""
_MIN_BYTES = 1_000
_PAGE_LEVEL = 5


def init_app(app: Flask) -> None:
    app.after_request(_compress)


def _compress(response: Response) -> Response:
    is_static = request.endpoint == "static"
    if response.status_code == 200 and response.mimetype in (_STATIC_TYPES if is_static else ("text/html",)):
        response.vary.add("Accept-Encoding")
        if request.accept_encodings["gzip"] and "Range" not in request.headers:
            _compress_file(response) if is_static else _compress_page(response)
    return response


def _compress_file(response: Response) -> None:
    path = Path(current_app.static_folder or "") / str((request.view_args or {})["filename"])
    response.direct_passthrough = False
    _set_compressed(response, _compressed_file(path, path.stat().st_mtime_ns))


def _compress_page(response: Response) -> None:
    """A streamed page stays as it is: it would have to be complete first."""
    response.vary.add("Sec-Fetch-Site")
    is_own_request = request.headers.get("Sec-Fetch-Site") in _OWN_REQUESTS
    if is_own_request and not response.is_streamed and len(response.get_data()) >= _MIN_BYTES:
        _set_compressed(response, gzip.compress(response.get_data(), _PAGE_LEVEL))


def _set_compressed(response: Response, data: bytes) -> None:
    response.set_data(data)
    response.content_encoding = "gzip"


@lru_cache(maxsize=64)
def _compressed_file(path: Path, _changed_at_ns: int) -> bytes:
    return gzip.compress(path.read_bytes(), 9)

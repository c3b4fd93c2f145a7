"""Checks that several API operations share."""

import re
from urllib.parse import urlsplit

from simulator.error_codes import ApiError

_SERVICE_SID = re.compile(r"MG[0-9a-fA-F]{32}")
_MAX_URL_LENGTH = 4000


def is_service_sid(text: str) -> bool:
    return _SERVICE_SID.fullmatch(text) is not None


def check_url(url: str) -> None:
    """Raises `ApiError` if the webhook URL is invalid. An empty one is valid."""
    if not url:
        return
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise ApiError(21609) from None
    if parts.scheme not in ("http", "https") or not host or "_" in host or len(url) > _MAX_URL_LENGTH:
        raise ApiError(21609)

"""How often a page polls: more often while its subject is new; and which requests a page makes by itself."""

from flask import request

from portal.web.request_input import is_htmx_request

_SECONDS_BY_MAX_AGE_MS = ((60_000, 2), (600_000, 5), (3_600_000, 15))
_MAX_INTERVAL_SECONDS = 60
CONTROLS = frozenset({"a", "button", "form", "input", "select", "textarea"})
LIVE_INTERVAL_SECONDS = 5
"""For what may change at any time, such as by a STOP; an unchanged answer must cost next to nothing."""


def poll_interval_seconds(age_ms: int) -> int:
    return next(
        (seconds for max_age_ms, seconds in _SECONDS_BY_MAX_AGE_MS if age_ms < max_age_ms), _MAX_INTERVAL_SECONDS
    )


def is_poll() -> bool:
    """Whether nobody did anything for this request. Fragments poll by GET; what a person uses is a control."""
    source = request.headers.get("HX-Source", "").partition("#")[0]
    return is_htmx_request() and request.method == "GET" and source not in CONTROLS

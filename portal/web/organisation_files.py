"""The public files of the organisation: its logo, and a stylesheet for its accent color.

Both have addresses that change with their content, so browsers keep them for good.
"""

import hashlib
import re
from functools import lru_cache

from flask import Blueprint, Response, abort, g, url_for

from portal.core.organisation import Organisation, current_organisation, find_logo, last_read_organisation
from portal.settings.rules.accent_color import AccentColorError, build_accent
from portal.web.access import public

files = Blueprint("organisation", __name__, url_prefix="/organization")
_DIGEST, _COLOR = re.compile("[0-9a-f]{32}"), re.compile("[0-9a-f]{6}")
_YEAR_SECONDS = 365 * 24 * 3600


@files.get("/logo/<digest>")
@public
def logo(digest: str) -> Response:
    row = find_logo(digest) if _DIGEST.fullmatch(digest) else None
    if row is None:
        abort(404)
    response = cached_forever(Response(row.content, mimetype=row.media_type))
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"  # web mail shows it in emails
    return response


@files.get("/accent-<color>-<digest>.css")
@public
def stylesheet(color: str, digest: str) -> Response:
    """Made from its address alone, so the error page of a broken database has its color too."""
    css = _accent_css(f"#{color}") if _COLOR.fullmatch(color) else ""
    if not css or digest != _short_digest(css):
        abort(404)
    return cached_forever(Response(css, mimetype="text/css"))


def page_organisation() -> Organisation:
    """Read once per request."""
    if "organisation" not in g:
        g.organisation = current_organisation()
    return g.organisation  # type: ignore[no-any-return]


def accent_url(color: str) -> str:
    """The stylesheet of a color; "" for the default color, and for one that an update no longer accepts."""
    css = _accent_css(color) if color else ""
    return url_for("organisation.stylesheet", color=color[1:], digest=_short_digest(css)) if css else ""


def error_page_context() -> dict[str, object]:
    """For the page that must not read the database."""
    return {"organisation": last_read_organisation, "accent_url": accent_url}


@lru_cache(maxsize=16)
def _accent_css(color: str) -> str:
    try:
        return build_accent(color).stylesheet
    except AccentColorError:
        return ""


def _short_digest(css: str) -> str:
    return hashlib.sha256(css.encode()).hexdigest()[:8]


def cached_forever(response: Response) -> Response:
    response.cache_control.public = response.cache_control.immutable = True
    response.cache_control.max_age = _YEAR_SECONDS
    return response

"""A form that arrives when nobody is signed in, or after somebody signed in anew, is given back to be sent again."""

import re
from collections.abc import Sequence

from flask import current_app, render_template, request

from portal.web.public_url import is_own_origin

_SECRET_NAME = re.compile(r"password|secret|token|^current$", re.IGNORECASE)
"""Fields that are typed again: a page must not hold them, and CSRF tokens are what is out of date."""
_JSON_NAME = "json_text"
"""Settings may be typed as JSON, whose keys are then the names."""


def is_form_of_own_page() -> bool:
    """A form of another site must not come back as one of ours, and of one that is too large nothing is read."""
    origin = request.headers.get("Origin") or request.headers.get("Referer") or ""
    is_readable = (request.content_length or 0) <= current_app.config["MAX_CONTENT_LENGTH"]
    return request.method == "POST" and is_readable and is_own_origin(origin)


def kept_form_page(heading: str, message: str, sign_in_url: str = "") -> str:
    """With what was typed, and the token of the session as it is now."""
    return render_template(
        "errors/kept_form.html",
        heading=heading,
        message=message,
        sign_in_url=sign_in_url,
        action=request.full_path if request.query_string else request.path,
        fields=_fields(),
        has_files=any(file.filename for file in request.files.values()),
    )


def _fields() -> Sequence[tuple[str, str]]:
    return [(name, value) for name, value in request.form.items(multi=True) if not _is_secret(name, value)]


def _is_secret(name: str, value: str) -> bool:
    return bool(_SECRET_NAME.search(value if name == _JSON_NAME else name))

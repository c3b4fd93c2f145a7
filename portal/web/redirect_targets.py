"""Redirect targets from forms and query strings. Only paths of the portal are accepted."""

import re
from urllib.parse import urlsplit

_UNSAFE = re.compile(r"[\x00-\x20\\\x7f-\xa0]")


def safe_redirect_target(target: str) -> str:
    """The target if it is a safe path, otherwise the start page.

    Browsers read backslashes as slashes and drop control characters; two slashes at the start would begin a host.
    """
    if not target.startswith("/") or target.startswith("//") or _UNSAFE.search(target):
        return "/"
    parts = urlsplit(target)
    return "/" if parts.scheme or parts.netloc else target

"""Where to go next, as a form or an address says it: only ever a path of our own."""

import re
from urllib.parse import urlsplit

_UNSAFE = re.compile(r"[\x00-\x20\\\x7f-\xa0]")


def safe_redirect_target(target: str) -> str:
    """The path that is wanted, else the start page.

    Browsers read backslashes as slashes and drop controls, so neither may stand in it; two slashes would begin a host.
    """
    if not target.startswith("/") or target.startswith("//") or _UNSAFE.search(target):
        return "/"
    parts = urlsplit(target)
    return "/" if parts.scheme or parts.netloc else target

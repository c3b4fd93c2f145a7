"""Where to go next, as a form or an address says it: only ever a path of our own."""

import re
from urllib.parse import urlsplit

_UNSAFE = re.compile(r"[\x00-\x20\\\x7f-\xa0]")


def own_target(wanted: str) -> str:
    """The path that is wanted, else the start page.

    Browsers read backslashes as slashes and drop controls, so neither may stand in it; two slashes would begin a host.
    """
    if not wanted.startswith("/") or wanted.startswith("//") or _UNSAFE.search(wanted):
        return "/"
    parts = urlsplit(wanted)
    return "/" if parts.scheme or parts.netloc else wanted

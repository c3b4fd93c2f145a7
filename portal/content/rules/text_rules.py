"""Links in texts, whoever wrote them, lead only to the portal's own host."""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from portal.core.translation import gettext as _

_SHORTENERS = frozenset({
    "bit.ly", "bitly.com", "buff.ly", "cutt.ly", "goo.gl", "is.gd", "lnkd.in", "ow.ly", "rb.gy", "rebrand.ly",
    "shorturl.at", "t.co", "t.ly", "tiny.cc", "tinyurl.com", "v.gd",
})  # fmt: skip
"""Carriers filter their links, because nobody sees where they lead (docs/twilio.md#links)."""
_REST = r"[^\s<>\"'”’)\]]*"
_LINK = re.compile(rf"\bhttps?://{_REST}|(?<![@\w.-])(?:[\w-]+\.)+[a-z]{{2,}}/{_REST}|\bwww\.[\w.-]+", re.IGNORECASE)
_BARE_SHORTENER = re.compile(rf"(?<![@\w.-])(?:{'|'.join(map(re.escape, sorted(_SHORTENERS)))})\b", re.IGNORECASE)


def link_problem(text: str, public_url: str) -> str | None:
    """Why a text with these links may not be sent; merge fields count as what they are filled in with."""
    own_host = (urlsplit(public_url).hostname or "").casefold()
    foreign = next((host for host in _hosts(text) if host != own_host), None)
    if foreign is None:
        return None
    if foreign in _SHORTENERS:
        return _(
            "Remove the link to %(host)s: carriers block texts with links of public shorteners. The portal adds a "
            "short link of its own.",
            host=foreign,
        )
    return _(
        "Remove the link to %(host)s: texts may only link to %(own)s, because carriers block links whose host is not "
        "the sender’s. Put it into the body, which people read in the portal.",
        host=foreign,
        own=own_host,
    )


def _hosts(text: str) -> Iterable[str]:
    for match in _LINK.finditer(text):
        link = match[0] if "://" in match[0] else f"//{match[0]}"
        yield _host(link)
    yield from (match[0].casefold() for match in _BARE_SHORTENER.finditer(text))


def _host(link: str) -> str:
    try:
        return (urlsplit(link).hostname or "").casefold().rstrip(".,;:!?")
    except ValueError:
        return link[:40]

"""Links in texts, whoever wrote them, lead only to the portal's own host."""

import re
from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import urlsplit

from portal.core.translation import gettext as _
from portal.messages.rules.named_texts import OrganisationNames, fit_named_text
from portal.messages.rules.sms_lookalikes import transliterate
from portal.messages.rules.sms_segments import FittedText

_SHORTENERS = frozenset({
    "bit.ly", "bitly.com", "buff.ly", "cutt.ly", "goo.gl", "is.gd", "lnkd.in", "ow.ly", "rb.gy", "rebrand.ly",
    "shorturl.at", "t.co", "t.ly", "tiny.cc", "tinyurl.com", "v.gd",
})  # fmt: skip
"""Carriers filter their links, because nobody sees where they lead (docs/twilio.md#links)."""
_COMMON_ENDINGS = (
    *("com", "org", "net", "gov", "edu", "mil", "info", "biz", "io", "app", "dev", "link", "xyz", "site", "online"),
    *("top", "club", "shop", "live", "click"),
)
"""Handsets turn a host with one of these into a link, even without a path."""
_BARE_HOSTS = "|".join(
    [*map(re.escape, sorted(_SHORTENERS)), rf"(?:[\w-]+\.)+(?:{'|'.join(_COMMON_ENDINGS)})"],
)
_REST = r"[^\s<>\"'”’)\]]*"
_LINK = re.compile(
    rf"\b[a-z][a-z0-9+.-]{{1,15}}://{_REST}"
    rf"|(?<![@\w.-])(?:(?:[\w-]+\.)+(?:xn--[\w-]+|[^\W\d_]{{2,}})|(?:\d{{1,3}}\.){{3}}\d{{1,3}})(?::\d+)?/{_REST}"
    r"|\bwww\.[\w.-]+"
    rf"|(?<![@\w.-])(?:{_BARE_HOSTS})(?![\w@-]|\.\w)",
    re.IGNORECASE,
)
_LINK_REMOVED = "(...)"


def notification_text(subject: str, link: str, names: OrganisationNames) -> FittedText:
    """The text of every notification: who sends it, the subject, and a link to all of it."""
    harmless, links = _without_foreign_links(subject, link, names)
    fitted = fit_named_text(harmless, link, names)
    return replace(fitted, removed_links=links) if links else fitted


def _without_foreign_links(subject: str, own_link: str, names: OrganisationNames) -> tuple[str, tuple[str, ...]]:
    """Replace the links to other hosts, which can only have come with the values of merge fields, and name them.

    They are not refused: a name or a file could otherwise keep a person from being notified at all, and the email and
    the history still have them.
    """
    plain = transliterate(subject).text
    if "." not in plain and "://" not in plain:
        return subject, ()
    own, links = {_host(own_link), *map(str.casefold, names)}, dict[str, None]()

    def replaced(match: re.Match[str]) -> str:
        if _host(match[0]) in own:
            return match[0]
        links[match[0]] = None
        return _LINK_REMOVED

    harmless = _LINK.sub(replaced, plain)
    return (harmless, tuple(links)) if links else (subject, ())


def link_problem(text: str, public_url: str, names: OrganisationNames = ()) -> str | None:
    """Why a text with these links may not be sent; merge fields count as what they are filled in with.

    One of the `names` may look like a host.
    """
    own_host = _host(public_url)
    own = {own_host, *map(str.casefold, names)}
    foreign = next((host for host in _hosts(text) if host not in own), None)
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
    return (_host(match[0]) for match in _LINK.finditer(transliterate(text).text))


def _host(link: str) -> str:
    """As a browser finds it, which reads backslashes as slashes."""
    link = link.replace("\\", "/")
    try:
        return (urlsplit(link if "://" in link else f"//{link}").hostname or "").casefold().rstrip(".,;:!?")
    except ValueError:
        return link[:40]

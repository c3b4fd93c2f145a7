"""The guides in docs/guide: which there are, who may read them, and their HTML.

`portal/guide` is a link to `docs/guide`, so that an installed portal has them too (ADR 58).
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from portal.core.translation import N_
from portal.settings.rules.logo_image import webp_size

FOLDER = Path(__file__).parents[2] / "guide"
PICTURES = FOLDER / "pictures"
_PARSER = MarkdownIt("commonmark", {"html": False, "xhtmlOut": False}).enable("table")
_TITLE_TOKENS = 3
"""The page has the title already."""
_GUIDE_LINK = re.compile(r"(?:\.\./)?([\w-]+)\.md(#[\w-]+)?")
_PICTURE_LINK = re.compile(r"(?:\.\./)?pictures/([\w-]+\.webp)")


@dataclass(frozen=True)
class Guide:
    """`role` is the lowest that may read it; "" is everybody."""

    name: str
    role: str
    title: str
    summary: str
    is_about_texts: bool = False

    @property
    def url(self) -> str:
        return f"/Help/{self.name}"


GUIDES = (
    Guide(
        "recipient",
        "",
        N_("Your notifications"),
        N_("Sign in, find and read what you were sent, change your profile."),
    ),
    Guide(
        "texts",
        "",
        N_("Text messages"),
        N_("Get texts, stop them, choose what they are about, and why one may not come."),
        is_about_texts=True,
    ),
    Guide(
        "sending",
        "admin",
        N_("Send notifications"),
        N_("Choose who gets it, check it, send it, undo it, watch it, approve it."),
    ),
    Guide(
        "templates",
        "admin",
        N_("Write templates"),
        N_("Words, merge fields, preview, drafts and versions, topics, the portal’s own wording."),
    ),
    Guide(
        "schedules",
        "admin",
        N_("Schedules and audiences"),
        N_("Send later, regularly or on people’s dates, and keep a choice of people for next time."),
    ),
    Guide(
        "results",
        "admin",
        N_("What became of a message"),
        N_("Find any message and what happened to it, send it again, export, prove that somebody was told."),
    ),
    Guide(
        "replies",
        "admin",
        N_("Replies and consent"),
        N_("Answer what people text back, invite them, opt numbers out, show what they agreed to."),
    ),
    Guide(
        "accounts",
        "admin",
        N_("Accounts"),
        N_("Add, change, import, deactivate and merge accounts, and keep more about people."),
    ),
    Guide(
        "setup",
        "sysadmin",
        N_("Set up the portal"),
        N_("From the first start to going live: organization, mail server, Twilio, registration."),
    ),
    Guide(
        "settings",
        "sysadmin",
        N_("Settings and records"),
        N_("Try without reaching people, limits, approval, roles, retention, erasure, the audit log."),
    ),
    Guide(
        "troubleshooting",
        "sysadmin",
        N_("When something goes wrong"),
        N_("Diagnostics, alerts, queues, paused numbers, failure drills."),
    ),
)


@dataclass(frozen=True)
class RenderedGuide:
    """`sections` are anchors and headings; `language` is that of the text, which may not be the one asked for."""

    sections: tuple[tuple[str, str], ...]
    html: Markup
    language: str


def find_guide(name: str) -> Guide | None:
    return next((guide for guide in GUIDES if guide.name == name), None)


@lru_cache(maxsize=64)
def render_guide(name: str, language: str) -> RenderedGuide:
    """The guide in this language, or in English if it is not translated. Both have the anchors of the English one."""
    original, translation = FOLDER / f"{name}.md", FOLDER / language / f"{name}.md"
    is_translated = translation.is_file()
    body = _parse(translation if is_translated else original)
    sections = tuple(_add_anchors(body, [heading_anchor(heading) for heading in _headings(_parse(original))]))
    _point_links_to_portal(body)
    html = Markup(_PARSER.renderer.render(body, _PARSER.options, {}))  # noqa: S704  our own files, without HTML
    return RenderedGuide(sections, html, language if is_translated else "en")


@lru_cache(maxsize=64)
def picture_digest(name: str) -> str:
    """Part of its address, so that browsers keep it until it changes; "" if there is no such picture."""
    path = PICTURES / name
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path.is_file() else ""


def heading_anchor(heading: str) -> str:
    """As GitHub makes it, where the guides can be read too."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def _parse(path: Path) -> list[Token]:
    return _PARSER.parse(path.read_text("utf-8"))[_TITLE_TOKENS:]


def _headings(tokens: list[Token]) -> list[str]:
    return [tokens[index + 1].content for index, token in enumerate(tokens) if token.type == "heading_open"]


def _add_anchors(tokens: list[Token], anchors: list[str]) -> Iterator[tuple[str, str]]:
    """Give each heading its id; yield those that begin a section."""
    opening = [token for token in tokens if token.type == "heading_open"]
    for token, heading, anchor in zip(opening, _headings(tokens), anchors, strict=True):
        token.attrSet("id", anchor)
        if token.tag == "h2":
            yield anchor, heading


def _point_links_to_portal(tokens: list[Token]) -> None:
    for token in (child for inline in tokens for child in inline.children or []):
        if token.type == "link_open" and (link := _GUIDE_LINK.fullmatch(str(token.attrs["href"]))):
            token.attrSet("href", f"/Help/{link[1]}{link[2] or ''}")
        if token.type == "image" and (picture := _PICTURE_LINK.fullmatch(str(token.attrs["src"]))):
            _show_picture(token, picture[1])


def _show_picture(token: Token, name: str) -> None:
    """With its size, so that the text below does not move when it arrives."""
    width, height = webp_size((PICTURES / name).read_bytes())
    token.attrSet("src", f"/Help/pictures/{name}?v={picture_digest(name)}")
    token.attrSet("width", str(width))
    token.attrSet("height", str(height))

"""What a picture shows, without pixels: the words and structure of a page, and the style rules that apply to it.

Fonts differ between machines, so pixels do. Addresses, hidden fields and the attributes of htmx show nothing; a rule
that applies to no element, such as one for another page, changes nothing.
"""

import hashlib
import re
from html.parser import HTMLParser

from playwright.sync_api import Page

from tests.support.servers import ROOT

_STATIC = ROOT / "portal" / "static"
_FILE = ROOT / "docs" / "guide" / "pictures" / "fingerprints.txt"

_SHOWN_ATTRIBUTES = {"aria-current", "checked", "class", "data-label", "data-tone", "disabled", "hidden", "open"}
_SHOWN_ATTRIBUTES |= {"max", "placeholder", "role", "rows", "selected", "type", "value"}
_CSS_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_CSS_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_RANDOM_ID = re.compile(r"\bSM[0-9a-f]{32}\b|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
"""Twilio's id of a text, and that of a job, which differ each time."""
_PSEUDO_ELEMENT = re.compile(r"::[a-z-]+")


def fingerprint(page: Page, html: str) -> str:
    """`html` is what the server sent; `page` has loaded it, and is asked which style rules apply."""
    css = "".join((_STATIC / name).read_text("utf-8") for name in ("tokens.css", "portal.css"))
    return f"page {_digest(shown_parts(html))}, styles {_digest(applied_rules(page, css))}"


def _digest(parts: list[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def shown_parts(html: str) -> list[str]:
    reader = _ShownParts()
    reader.feed(html)
    return reader.parts


class _ShownParts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._in_body = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_body = self._in_body or tag == "body"
        attributes = {name: value or "" for name, value in attrs if name in _SHOWN_ATTRIBUTES}
        if self._in_body and attributes.get("type") != "hidden":
            self.parts.append(f"<{tag} {sorted(attributes.items())}")

    def handle_endtag(self, tag: str) -> None:
        if self._in_body:
            self.parts.append(f"</{tag}")

    def handle_data(self, data: str) -> None:
        if self._in_body and data.strip():
            self.parts.append(_RANDOM_ID.sub("…", " ".join(data.split())))


def applied_rules(page: Page, css: str) -> list[str]:
    rules = _CSS_RULE.findall(_CSS_COMMENT.sub("", css))
    selectors = [_PSEUDO_ELEMENT.sub("", selector).strip() or "*" for selector, _ in rules]
    applies = page.evaluate(
        """selectors => selectors.map(one => {
            try { return document.querySelector(one) !== null } catch { return true }
        })""",
        selectors,
    )
    return [" ".join("".join(rule).split()) for rule, wanted in zip(rules, applies, strict=True) if wanted]


def write_fingerprints(fingerprints: dict[str, str]) -> None:
    _FILE.write_text("".join(f"{name}: {value}\n" for name, value in fingerprints.items()), "utf-8")


def read_fingerprints() -> dict[str, str]:
    lines = _FILE.read_text("utf-8").splitlines()
    return {name: value for name, _, value in (line.partition(": ") for line in lines)}

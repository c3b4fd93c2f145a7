"""Markdown to the HTML we trust, and to plain text. Every channel cleans on its way out (RELIABILITY.md 3.5)."""

import re
from functools import lru_cache

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token

_TAGS = {"p", "br", "h1", "h2", "h3", "h4", "ul", "ol", "li", "strong", "em", "a", "code", "pre", "blockquote", "hr"}
_TAGS |= {"table", "thead", "tbody", "tr", "th", "td"}
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}}
_HEADINGS = {"h1": "h2", "h2": "h3", "h3": "h4", "h4": "h5", "h5": "h6", "h6": "h6"}


def to_html(source: str) -> str:
    """Clean HTML without images, styles or scripts. Headings start at h2: the page has the h1."""
    tokens = _markdown().parse(source)
    for token in tokens:
        token.tag = _HEADINGS.get(token.tag, token.tag)
    html = _markdown().renderer.render(tokens, _markdown().options, {})
    return nh3.clean(
        html, tags=_TAGS | {"h5", "h6"}, attributes=_ATTRIBUTES, url_schemes={"http", "https", "mailto", "tel"}
    )


def to_text(source: str) -> str:
    """The words for a mail reader without HTML: links as `text (address)`, lists as `- item`."""
    lines: list[str] = []
    bullets: list[int | None] = []
    prefix = ""
    for token in _markdown().parse(source):
        if token.type in ("bullet_list_open", "ordered_list_open"):
            bullets.append(None if token.type.startswith("bullet") else int(token.attrs.get("start", 1)))
        elif token.type in ("bullet_list_close", "ordered_list_close"):
            bullets.pop()
            lines.append("")
        elif token.type == "list_item_open":
            prefix = _bullet(bullets)
        elif token.type == "inline":
            lines.append(prefix + _inline_text(token))
            prefix = ""
        elif token.type in ("fence", "code_block"):
            lines += [token.content.rstrip(), ""]
        elif token.type in ("paragraph_close", "heading_close") and not bullets:
            lines.append("")
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def _bullet(bullets: list[int | None]) -> str:
    indent, number = "  " * (len(bullets) - 1), bullets[-1]
    if number is None:
        return f"{indent}- "
    bullets[-1] = number + 1
    return f"{indent}{number}. "


def _inline_text(token: Token) -> str:
    parts: list[str] = []
    hrefs: list[tuple[str, int]] = []
    for child in token.children or []:
        if child.type == "link_open":
            hrefs.append((str(child.attrs.get("href", "")), len(parts)))
        elif child.type == "link_close":
            href, start = hrefs.pop()
            parts.append("" if "".join(parts[start:]) == href else f" ({href})")
        elif child.type in ("softbreak", "hardbreak"):
            parts.append("\n")
        else:
            parts.append(child.content)
    return "".join(parts)


@lru_cache(maxsize=1)
def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")

"""Markdown to the HTML we trust, and to plain text. Every channel cleans on its way out (RELIABILITY.md 3.5)."""

import re
from functools import lru_cache

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token

from portal.domain.merge import unescape_markdown

_TAGS = {"p", "br", "h1", "h2", "h3", "h4", "ul", "ol", "li", "strong", "em", "a", "code", "pre", "blockquote", "hr"}
_TAGS |= {"table", "thead", "tbody", "tr", "th", "td"}
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}}
_VERBATIM = ("fence", "code_block")
_SCHEMES = ("http://", "https://", "mailto:")
_HEADINGS = {"h1": "h2", "h2": "h3", "h3": "h4", "h4": "h5", "h5": "h6", "h6": "h6"}


def to_html(source: str) -> str:
    """Clean HTML without images, styles or scripts. Headings start at h2: the page has the h1."""
    tokens = _parse(source)
    for token in tokens:
        token.tag = _HEADINGS.get(token.tag, token.tag)
    html = _markdown().renderer.render(tokens, _markdown().options, {})
    return nh3.clean(
        html, tags=_TAGS | {"h5", "h6"}, attributes=_ATTRIBUTES, url_schemes={"http", "https", "mailto", "tel"}
    )


def to_text(source: str) -> str:
    """The words for a mail reader without HTML: links as `text (address)`, lists as `- item`, rows on a line."""
    writer = _TextWriter()
    for token in _parse(source):
        writer.take(token)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(writer.lines)).strip() + "\n"


class _TextWriter:
    """Lines of text, token by token."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._lists: list[int | None] = []
        self._prefix = ""
        self._cells: list[str] | None = None

    def take(self, token: Token) -> None:
        if token.type == "inline":
            self._write(_inline_text(token))
        elif token.type in _VERBATIM:
            self.lines += [token.content.rstrip(), ""]
        elif token.type.startswith(("bullet_list", "ordered_list", "list_item_open")):
            self._list(token)
        elif token.type in ("tr_open", "tr_close"):
            self._row(token.type == "tr_open")
        elif token.type == "table_close" or (token.type in ("paragraph_close", "heading_close") and not self._lists):
            self.lines.append("")

    def _write(self, text: str) -> None:
        if self._cells is not None:
            self._cells.append(text)
            return
        self.lines.append(self._prefix + text)
        self._prefix = ""

    def _list(self, token: Token) -> None:
        if token.type == "list_item_open":
            self._prefix = _bullet(self._lists)
        elif token.nesting > 0:
            ordered = token.type.startswith("ordered")
            self._lists.append(int(token.attrs.get("start", 1)) if ordered else None)
        else:
            self._lists.pop()
            self.lines.append("")

    def _row(self, opens: bool) -> None:
        if not opens:
            self.lines.append(" | ".join(filter(None, self._cells or [])))
        self._cells = [] if opens else None


def _parse(source: str) -> list[Token]:
    """Tokens in which values read as they were given also where Markdown knows no character references."""
    tokens = _markdown().parse(source)
    for token in tokens:
        if token.type in _VERBATIM:
            token.content = unescape_markdown(token.content)
        for child in token.children or []:
            _restore(child)
    return tokens


def _restore(child: Token) -> None:
    if child.type == "code_inline" or (child.type == "text" and child.content.startswith(_SCHEMES)):
        child.content = unescape_markdown(child.content)
    elif child.type == "link_open" and child.info == "auto":
        child.attrs["href"] = unescape_markdown(str(child.attrs["href"]))


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

"""Markdown to sanitised HTML and to plain text (docs/reliability.md#clean-output)."""

import re
from functools import lru_cache

import nh3
from markdown_it import MarkdownIt
from markdown_it.common import normalize_url
from markdown_it.token import Token

from portal.content.rules.markdown_literals import MaskedMarkdown, has_placeholder, mask_literals
from portal.content.rules.markdown_text import tokens_to_text

_TAGS = {"p", "br", "h1", "h2", "h3", "h4", "ul", "ol", "li", "strong", "em", "a", "code", "pre", "blockquote", "hr"}
_TAGS |= {"h5", "h6", "table", "thead", "tbody", "tr", "th", "td"}
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}}
_HEADINGS = {"h1": "h2", "h2": "h3", "h3": "h4", "h4": "h5", "h5": "h6", "h6": "h6"}
MAX_TABLE_CELLS = 5_000
"""Larger tables are shown as typed, because parsing time grows with the number of cells."""


def to_html(source: str) -> str:
    """Sanitised HTML without images, styles or scripts. Headings start at h2, because the page has the h1."""
    tokens = _parse(source)
    for token in tokens:
        token.tag = _HEADINGS.get(token.tag, token.tag)
    parser = _markdown_parser(has_tables=True)
    html = parser.renderer.render(tokens, parser.options, {})
    return nh3.clean(html, tags=_TAGS, attributes=_ATTRIBUTES, url_schemes={"http", "https", "mailto", "tel"})


def to_text(source: str) -> str:
    """Plain text for email: links as `text (address)`, lists as `- item`, tables in columns."""
    return tokens_to_text(_parse(source))


def max_cell_count(source: str) -> int:
    """An upper limit of the cells in its tables: each row gets a cell for every column of the widest row."""
    blocks = [block.split("\n") for block in re.split(r"\n[ \t]*\n", source) if "|" in block]
    return sum(max(line.count("|") + 1 for line in lines) * len(lines) for lines in blocks)


def _parse(source: str) -> list[Token]:
    """Tokens with the values filled in, encoded for where they appear."""
    values = mask_literals(source)
    tokens = _markdown_parser(has_tables=max_cell_count(source) <= MAX_TABLE_CELLS).parse(values.source)
    for token in tokens:
        for part in (token, *(token.children or [])):
            _fill_token(part, values)
    return _without_empty_paragraphs(tokens) if values.literals else tokens


def _fill_token(token: Token, values: MaskedMarkdown) -> None:
    if token.type != "inline":
        token.content = values.fill_text(token.content)
    if "href" in token.attrs:
        token.attrs["href"] = normalize_url.normalizeLink(values.fill_url(str(token.attrs["href"])))
    if "title" in token.attrs:
        token.attrs["title"] = values.fill_text(str(token.attrs["title"]))


def _without_empty_paragraphs(tokens: list[Token]) -> list[Token]:
    """Drop paragraphs that contain only blank values."""
    blank = {
        index
        for index, token in enumerate(tokens)
        if token.type == "inline" and tokens[index - 1].type == "paragraph_open" and _is_blank(token)
    }
    return [token for index, token in enumerate(tokens) if not {index - 1, index, index + 1} & blank]


def _is_blank(inline: Token) -> bool:
    return all(child.type in ("text", "softbreak") and not child.content.strip() for child in inline.children or [])


def _validate_link(url: str) -> bool:
    """A link with a value is allowed: sanitising removes an unsafe address later."""
    return has_placeholder(url) or normalize_url.validateLink(url)


@lru_cache(maxsize=2)
def _markdown_parser(has_tables: bool) -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False}).disable("image")
    if has_tables:
        markdown.enable("table")
    # Addresses are normalised when the values are filled in.
    markdown.normalizeLink = lambda url: url  # type: ignore[method-assign]
    markdown.validateLink = _validate_link  # type: ignore[method-assign]
    return markdown

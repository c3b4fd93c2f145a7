"""Markdown to trusted HTML and to plain text. Each channel cleans what it sends (docs/reliability.md#clean-output)."""

import html
import re
from contextvars import ContextVar
from functools import lru_cache

import nh3
from markdown_it import MarkdownIt
from markdown_it.common import normalize_url
from markdown_it.token import Token

from portal.content.rules.markdown_literals import MaskedMarkdown, mask_literals
from portal.content.rules.markdown_text import tokens_to_text

_TAGS = {"p", "br", "h1", "h2", "h3", "h4", "ul", "ol", "li", "strong", "em", "a", "code", "pre", "blockquote", "hr"}
_TAGS |= {"table", "thead", "tbody", "tr", "th", "td"}
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}}
_VERBATIM = ("fence", "code_block")
_SCHEMES = ("http://", "https://", "mailto:")
_HEADINGS = {"h1": "h2", "h2": "h3", "h3": "h4", "h4": "h5", "h5": "h6", "h6": "h6"}
_CHARACTER_REFERENCE = re.compile(r"&#[0-9]{2,7};")
MAX_TABLE_CELLS = 5_000
"""Tables that may have more are shown as they were typed: their time grows with their cells, not with their length."""
_EMPTY_SOURCE = mask_literals("")
_current_source: ContextVar[MaskedMarkdown] = ContextVar("read_now", default=_EMPTY_SOURCE)
"""Whose addresses Markdown is normalising."""


def to_html(source: str) -> str:
    """Clean HTML without images, styles or scripts. Headings start at h2: the page has the h1."""
    tokens = _parse(source)
    for token in tokens:
        token.tag = _HEADINGS.get(token.tag, token.tag)
    made = _markdown_parser(has_tables=True).renderer.render(tokens, _markdown_parser(has_tables=True).options, {})
    return nh3.clean(
        made, tags=_TAGS | {"h5", "h6"}, attributes=_ATTRIBUTES, url_schemes={"http", "https", "mailto", "tel"}
    )


def to_text(source: str) -> str:
    """The words for a mail reader without HTML: links as `text (address)`, lists as `- item`, tables in columns."""
    return tokens_to_text(_parse(source))


def max_cell_count(source: str) -> int:
    """How many cells its tables may have at most: a row that names none still gets one in every column."""
    blocks = re.split(r"\n[ \t]*\n", source)
    return sum(
        max(line.count("|") + 1 for line in block.split("\n")) * (block.count("\n") + 1)
        for block in blocks
        if "|" in block
    )


def _parse(source: str) -> list[Token]:
    """Tokens with the values filled in, each as its place needs it."""
    values = mask_literals(source)
    before = _current_source.set(values)
    try:
        tokens = _markdown_parser(has_tables=max_cell_count(source) <= MAX_TABLE_CELLS).parse(values.source)
    finally:
        _current_source.reset(before)
    for token in tokens:
        _fill_token(token, values)
        for child in token.children or []:
            _fill_token(child, values)
    if not values.literals:
        _decode_legacy_references(tokens)
    return _without_empty_paragraphs(tokens) if values.literals else tokens


def _fill_token(token: Token, values: MaskedMarkdown) -> None:
    """Addresses are filled in already: Markdown has normalised them."""
    if token.type != "inline":
        token.content = values.fill_text(token.content)
    if "title" in token.attrs:
        token.attrs["title"] = values.fill_text(str(token.attrs["title"]))


def _without_empty_paragraphs(tokens: list[Token]) -> list[Token]:
    """A paragraph that holds nothing but blank values does not show."""
    blank = {
        place
        for place, token in enumerate(tokens)
        if token.type == "inline" and tokens[place - 1].type == "paragraph_open" and _is_blank(token)
    }
    return [token for place, token in enumerate(tokens) if not {place - 1, place, place + 1} & blank]


def _is_blank(inline: Token) -> bool:
    return all(child.type in ("text", "softbreak") and not child.content.strip() for child in inline.children or [])


def _decode_legacy_references(tokens: list[Token]) -> None:
    """Bodies of earlier releases hold their values as character references, which Markdown does not read in code."""
    for token in tokens:
        for child in [token, *(token.children or [])]:
            is_address = child.type == "text" and child.content.startswith(_SCHEMES)
            if child.type in (*_VERBATIM, "code_inline") or is_address:
                child.content = _decode_references(child.content)
            elif child.type == "link_open" and child.info == "auto":
                child.attrs["href"] = _decode_references(str(child.attrs["href"]))


def _decode_references(text: str) -> str:
    return _CHARACTER_REFERENCE.sub(lambda found: html.unescape(found.group()), text)


def _normalize_link(url: str) -> str:
    return normalize_url.normalizeLink(_current_source.get().fill_url(url))


def _validate_link(url: str) -> bool:
    """What a value makes of an address never decides whether there is a link: cleaning takes a bad address away."""
    return bool(_current_source.get().literals) or normalize_url.validateLink(url)


@lru_cache(maxsize=2)
def _markdown_parser(has_tables: bool) -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False}).disable("image")
    if has_tables:
        markdown.enable("table")
    markdown.normalizeLink = _normalize_link  # type: ignore[method-assign]
    markdown.validateLink = _validate_link  # type: ignore[method-assign]
    return markdown

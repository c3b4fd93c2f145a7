"""Limits that a template must meet before it is parsed.

Liquid's lexer is quadratic: unclosed tags or long runs of blanks would take minutes. These checks take linear time.
"""

import re

from liquid.exceptions import LiquidSyntaxError
from liquid.token import Token

from portal.core.translation import gettext as _

MAX_TEMPLATE_CHARACTERS = 50_000
MAX_TAGS = 1_000
MAX_TAG_LENGTH = 1_000
MAX_LIQUID_TAG_LENGTH = 5_000
MAX_CONSECUTIVE_BLANKS = 50
MAX_NESTING = 30
_TAG_START = re.compile(r"\{[{%]")
_NAME = re.compile(r"\{%-?\s{0,50}(\w{1,20})")
_BLANKS = re.compile(rf"\s{{{MAX_CONSECUTIVE_BLANKS + 1}}}")
_VERBATIM = ("raw", "doc")
_BLOCKS = ("if", "unless", "case", "for", "ifchanged")


def check_limits(source: str) -> None:
    """Raises `LiquidSyntaxError`."""
    position = tags = depth = 0
    while opening := _TAG_START.search(source, position):
        start = opening.start()
        tags += 1
        if tags > MAX_TAGS:
            problem = _("the template does too much: more than %(limit)s fields and tags", limit=MAX_TAGS)
            raise _error(problem, source, start)
        position, name = _find_tag_end(source, start), _tag_name(source, start)
        depth += (name in _BLOCKS) - (name.startswith("end") and name[3:] in _BLOCKS)
        if depth > MAX_NESTING:
            problem = _("the template does too much: conditions are nested %(depth)s deep", depth=depth)
            raise _error(problem, source, start)
        if name in _VERBATIM:
            position = _find_block_end(source, name, position)
    if len(source) > MAX_TEMPLATE_CHARACTERS:
        limits = {"limit": MAX_TEMPLATE_CHARACTERS, "length": len(source)}
        raise _error(_("a template may have %(limit)s characters at most; this has %(length)s", **limits), source, 0)


def _find_tag_end(source: str, start: int) -> int:
    """The offset after the `}}` or `%}` that closes the tag at `start`."""
    opening, closing = ("{{", "}}") if source[start + 1] == "{" else ("{%", "%}")
    end = source.find(closing, start + 2)
    if end < 0:
        problem = _("“%(opening)s” is never closed: expected “%(closing)s”", opening=opening, closing=closing)
        raise _error(problem, source, start)
    longest = MAX_LIQUID_TAG_LENGTH if _tag_name(source, start) == "liquid" else MAX_TAG_LENGTH
    if end - start > longest:
        problem = _(
            "the text between “%(opening)s” and “%(closing)s” is longer than %(limit)s characters",
            opening=opening,
            closing=closing,
            limit=longest,
        )
        raise _error(problem, source, start)
    if _BLANKS.search(source, start, end):
        problem = _(
            "there are more than %(limit)s spaces in a row between “%(opening)s” and “%(closing)s”",
            limit=MAX_CONSECUTIVE_BLANKS,
            opening=opening,
            closing=closing,
        )
        raise _error(problem, source, start)
    return end + 2


def _tag_name(source: str, start: int) -> str:
    match = _NAME.match(source, start)
    return match.group(1) if match else ""


def _find_block_end(source: str, name: str, start: int) -> int:
    """The offset after the closing tag. Linear overall: the first missing one ends the check."""
    closing = re.compile(rf"\{{%-?\s{{0,{MAX_CONSECUTIVE_BLANKS}}}end{name}\b").search(source, start)
    if closing is None:
        raise _error(_("“{%% end%(tag)s %%}” is missing", tag=name), source, start)
    return _find_tag_end(source, closing.start())


def _error(message: str, source: str, offset: int) -> LiquidSyntaxError:
    return LiquidSyntaxError(message, token=Token("", "", offset, source))

"""What a template may be before it is parsed, so that parsing it costs no more than reading it.

Liquid's lexer looks for the end of each `{{` from every place before it: what is never closed, or holds long blanks,
would take it minutes. Here each character is looked at a few times at most.
"""

import re

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


class TemplateLimitError(ValueError):
    """Which limit, in words; `at` is the place in the source."""

    def __init__(self, words: str, at: int) -> None:
        super().__init__(words)
        self.offset = at


def check_limits(source: str) -> None:
    """Raises `TemplateLimitError`."""
    place = tags = depth = 0
    while opened := _TAG_START.search(source, place):
        tags += 1
        if tags > MAX_TAGS:
            raise TemplateLimitError(
                f"the template does too much: more than {MAX_TAGS:,} fields and tags.", opened.start()
            )
        place = _find_tag_end(source, opened.start())
        name = _tag_name(source, opened.start())
        depth += (name in _BLOCKS) - (name.startswith("end") and name[3:] in _BLOCKS)
        if depth > MAX_NESTING:
            raise TemplateLimitError(
                f"the template does too much: conditions stand {depth} deep in each other.", opened.start()
            )
        if name in _VERBATIM:
            place = _find_block_end(source, name, place)
    if len(source) > MAX_TEMPLATE_CHARACTERS:
        raise TemplateLimitError(
            f"a template has at most {MAX_TEMPLATE_CHARACTERS:,} characters; this has {len(source):,}.", 0
        )


def _find_tag_end(source: str, start: int) -> int:
    """Behind the `}}` or `%}` of what opens at `start`."""
    opening, closing = ("{{", "}}") if source[start + 1] == "{" else ("{%", "%}")
    end = source.find(closing, start + 2)
    if end < 0:
        raise TemplateLimitError(f"“{opening}” is never closed: expected “{closing}”.", start)
    longest = MAX_LIQUID_TAG_LENGTH if _tag_name(source, start) == "liquid" else MAX_TAG_LENGTH
    if end - start > longest:
        raise TemplateLimitError(
            f"what stands between “{opening}” and “{closing}” is longer than {longest:,} characters.", start
        )
    if _BLANKS.search(source, start, end):
        raise TemplateLimitError(
            f"between “{opening}” and “{closing}” stand more than {MAX_CONSECUTIVE_BLANKS} blanks in a row.", start
        )
    return end + 2


def _tag_name(source: str, start: int) -> str:
    found = _NAME.match(source, start)
    return found.group(1) if found else ""


def _find_block_end(source: str, name: str, place: int) -> int:
    """Behind what is not read; each is looked for once, since nothing after the first that is missing is read."""
    found = re.compile(rf"\{{%-?\s{{0,{MAX_CONSECUTIVE_BLANKS}}}end{name}\b").search(source, place)
    if found is None:
        raise TemplateLimitError(f"“{{% end{name} %}}” is missing.", place)
    return _find_tag_end(source, found.start())

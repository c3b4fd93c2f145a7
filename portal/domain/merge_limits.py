"""What a template may be before it is parsed, so that parsing it costs no more than reading it.

Liquid's lexer looks for the end of each `{{` from every place before it: what is never closed, or holds long blanks,
would take it minutes. Here each character is looked at a few times at most.
"""

import re

MOST_CHARACTERS = 50_000
MOST_TAGS = 1_000
LONGEST_TAG = 1_000
LONGEST_LIQUID_TAG = 5_000
MOST_BLANKS = 50
DEEPEST = 30
_OPENS = re.compile(r"\{[{%]")
_NAME = re.compile(r"\{%-?\s{0,50}(\w{1,20})")
_BLANKS = re.compile(rf"\s{{{MOST_BLANKS + 1}}}")
_VERBATIM = ("raw", "doc")
_BLOCKS = ("if", "unless", "case", "for", "ifchanged")


class TooLong(ValueError):
    """Which limit, in words; `at` is the place in the source."""

    def __init__(self, words: str, at: int) -> None:
        super().__init__(words)
        self.at = at


def check(source: str) -> None:
    """Raises `TooLong`."""
    place = tags = depth = 0
    while opened := _OPENS.search(source, place):
        tags += 1
        if tags > MOST_TAGS:
            raise TooLong(f"the template does too much: more than {MOST_TAGS:,} fields and tags.", opened.start())
        place = _end(source, opened.start())
        name = _name(source, opened.start())
        depth += (name in _BLOCKS) - (name.startswith("end") and name[3:] in _BLOCKS)
        if depth > DEEPEST:
            raise TooLong(f"the template does too much: conditions stand {depth} deep in each other.", opened.start())
        if name in _VERBATIM:
            place = _end_of_block(source, name, place)
    if len(source) > MOST_CHARACTERS:
        raise TooLong(f"a template has at most {MOST_CHARACTERS:,} characters; this has {len(source):,}.", 0)


def _end(source: str, start: int) -> int:
    """Behind the `}}` or `%}` of what opens at `start`."""
    opening, closing = ("{{", "}}") if source[start + 1] == "{" else ("{%", "%}")
    end = source.find(closing, start + 2)
    if end < 0:
        raise TooLong(f"“{opening}” is never closed: expected “{closing}”.", start)
    longest = LONGEST_LIQUID_TAG if _name(source, start) == "liquid" else LONGEST_TAG
    if end - start > longest:
        raise TooLong(f"what stands between “{opening}” and “{closing}” is longer than {longest:,} characters.", start)
    if _BLANKS.search(source, start, end):
        raise TooLong(f"between “{opening}” and “{closing}” stand more than {MOST_BLANKS} blanks in a row.", start)
    return end + 2


def _name(source: str, start: int) -> str:
    found = _NAME.match(source, start)
    return found.group(1) if found else ""


def _end_of_block(source: str, name: str, place: int) -> int:
    """Behind what is not read; each is looked for once, since nothing after the first that is missing is read."""
    found = re.compile(rf"\{{%-?\s{{0,{MOST_BLANKS}}}end{name}\b").search(source, place)
    if found is None:
        raise TooLong(f"“{{% end{name} %}}” is missing.", place)
    return _end(source, found.start())

"""Characters in the source of a template that mislead people, or that cost more than they show."""

import unicodedata
from dataclasses import dataclass

from portal.core.translation import gettext as _

_STRAIGHT = str.maketrans({**dict.fromkeys("‘’‚‛", "'"), **dict.fromkeys("“”„‟", '"')})
_CURLY = frozenset(map(chr, _STRAIGHT))
_DIRECTION_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_JOINERS = frozenset("\u200c\u200d")
"""Emoji and some scripts need them."""


@dataclass(frozen=True)
class HiddenCharacter:
    """`name` is its Unicode name in lower case; `line` and `column` count from 1."""

    name: str
    line: int
    column: int


def has_curly_quotes(*texts: str) -> bool:
    return any(not _CURLY.isdisjoint(text) for text in texts)


def straighten_quotes(text: str) -> str:
    return text.translate(_STRAIGHT)


def direction_problem(source: str) -> str | None:
    """What is wrong with a source that overrides the direction of reading, which can make it say something else."""
    character = next((character for character in source if character in _DIRECTION_CONTROLS), None)
    if character is None:
        return None
    return _(
        "Line %(line)s: remove the character %(code_point)s. It changes the reading direction, which can disguise what "
        "the text says.",
        line=source.count("\n", 0, source.index(character)) + 1,
        code_point=f"U+{ord(character):04X}",
    )


def hidden_characters(source: str) -> list[HiddenCharacter]:
    """Format characters that nobody sees. Those that join emoji or letters are left out."""
    if source.isascii():
        return []
    return [
        HiddenCharacter(unicodedata.name(character, f"U+{ord(character):04X}").lower(), line, column)
        for line, text in enumerate(source.split("\n"), 1)
        for column, character in enumerate(text, 1)
        if unicodedata.category(character) == "Cf" and character not in _JOINERS
    ]

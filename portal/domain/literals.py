"""Values inside Markdown, which must not change what the Markdown does.

A body is kept with its values marked by noncharacters of Unicode, which no text holds. Before Markdown reads it, each
value gives way to one character that counts as a letter; afterwards it is filled in as its place needs it: as it is in
words and code, encoded in addresses.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote

_START, _START_ENCODED, _END, _ESCAPE = "\ufdd0", "\ufdd2", "\ufdd1", "\ufdd3"
_MARKS = (_START, _END, _START_ENCODED, _ESCAPE)
_ESCAPED = {ord(mark): _ESCAPE + chr(ord(mark) + 0x10) for mark in _MARKS}
_UNESCAPE = re.compile(f"{_ESCAPE}([\ufde0-\ufde3])")
_FIRST = 0xF0000
_LETTER = re.compile(r"[\U000F0000-\U0010FFFF]")
_VALUE = re.compile(rf"([{_START}{_START_ENCODED}])([^{_START}{_END}{_START_ENCODED}]*){_END}|{_LETTER.pattern}")
_WHOLE_ADDRESS = ":/?#[]@!$&*+,;=%-._~"
_EXTRA_OF_SCHEME = {"mailto": "@+", "tel": "+"}


@dataclass(frozen=True)
class Literal:
    """A value; `is_encoded` where a filter has made it fit for an address already."""

    text: str
    is_encoded: bool = False


def mark(value: str, is_encoded: bool = False) -> str:
    """The value as it stands in Markdown, its white space as a page shows it: one blank, and none at the ends."""
    words = " ".join(value.replace("\x00", "\ufffd").split())
    start = _START_ENCODED if is_encoded else _START
    return f"{start}{words.translate(_ESCAPED) if any(mark in words for mark in _MARKS) else words}{_END}"


def bare(source: str) -> str:
    """The same Markdown with the values as they are: for people to read, not for Markdown."""
    return _VALUE.sub(lambda found: _literal(found).text, source)


@dataclass(frozen=True)
class Opaque:
    """Markdown whose values are letters, and how to fill them in again."""

    source: str
    literals: tuple[Literal, ...]

    def text(self, part: str) -> str:
        return _LETTER.sub(lambda found: self._of(found.group()).text, part) if self.literals else part

    def address(self, part: str) -> str:
        """Values at the beginning are an address, or the beginning of one; any other is encoded to stay one part."""
        scheme = part.partition(":")[0].lower()
        kept = _EXTRA_OF_SCHEME.get(scheme, "")
        begins = _letters_first(part)
        return self._encoded(part[:begins], _WHOLE_ADDRESS) + self._encoded(part[begins:], kept)

    def _encoded(self, part: str, kept: str) -> str:
        return _LETTER.sub(lambda found: _encode(self._of(found.group()), kept), part)

    def _of(self, letter: str) -> Literal:
        place = ord(letter) - _FIRST
        return self.literals[place] if place < len(self.literals) else Literal(letter)


def opaque(source: str) -> Opaque:
    """Equal values have equal letters, as they would have equal words: the label of a link is found by them."""
    literals: dict[Literal, int] = {}

    def letter(found: re.Match[str]) -> str:
        return chr(_FIRST + literals.setdefault(_literal(found), len(literals)))

    return Opaque(_VALUE.sub(letter, source), tuple(literals))


def _literal(found: re.Match[str]) -> Literal:
    if found.group(1) is None:
        return Literal(found.group())
    return Literal(
        _UNESCAPE.sub(lambda escaped: chr(ord(escaped.group(1)) - 0x10), found.group(2)),
        found.group(1) == _START_ENCODED,
    )


def _letters_first(part: str) -> int:
    return next((place for place, character in enumerate(part) if not _LETTER.match(character)), len(part))


def _encode(literal: Literal, kept: str) -> str:
    return literal.text if literal.is_encoded else quote(literal.text, safe=kept, errors="replace")

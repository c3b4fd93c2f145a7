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
_FIRST_PLACEHOLDER = 0xF0000
_PLACEHOLDER = re.compile(r"[\U000F0000-\U0010FFFF]")
_VALUE = re.compile(rf"([{_START}{_START_ENCODED}])([^{_START}{_END}{_START_ENCODED}]*){_END}|{_PLACEHOLDER.pattern}")
_SAFE_IN_WHOLE_URL = ":/?#[]@!$&*+,;=%-._~"
_SAFE_BY_SCHEME = {"mailto": "@+", "tel": "+"}


@dataclass(frozen=True)
class Literal:
    """A value; `is_url_encoded` where a filter has made it fit for an address already."""

    text: str
    is_url_encoded: bool = False


def mark_literal(value: str, is_encoded: bool = False) -> str:
    """The value as it stands in Markdown, its white space as a page shows it: one blank, and none at the ends."""
    words = " ".join(value.replace("\x00", "\ufffd").split())
    start = _START_ENCODED if is_encoded else _START
    return f"{start}{words.translate(_ESCAPED) if any(mark in words for mark in _MARKS) else words}{_END}"


def unmark_literals(source: str) -> str:
    """The same Markdown with the values as they are: for people to read, not for Markdown."""
    return _VALUE.sub(lambda found: _parse_literal(found).text, source)


@dataclass(frozen=True)
class MaskedMarkdown:
    """Markdown whose values are letters, and how to fill them in again."""

    source: str
    literals: tuple[Literal, ...]

    def fill_text(self, part: str) -> str:
        return _PLACEHOLDER.sub(lambda found: self._literal_for(found.group()).text, part) if self.literals else part

    def fill_url(self, part: str) -> str:
        """Values at the beginning are an address, or the beginning of one; any other is encoded to stay one part."""
        scheme = part.partition(":")[0].lower()
        kept = _SAFE_BY_SCHEME.get(scheme, "")
        begins = _leading_placeholders(part)
        return self._fill_encoded(part[:begins], _SAFE_IN_WHOLE_URL) + self._fill_encoded(part[begins:], kept)

    def _fill_encoded(self, part: str, kept: str) -> str:
        return _PLACEHOLDER.sub(lambda found: _encode(self._literal_for(found.group()), kept), part)

    def _literal_for(self, letter: str) -> Literal:
        place = ord(letter) - _FIRST_PLACEHOLDER
        return self.literals[place] if place < len(self.literals) else Literal(letter)


def mask_literals(source: str) -> MaskedMarkdown:
    """Equal values have equal letters, as they would have equal words: the label of a link is found by them."""
    literals: dict[Literal, int] = {}

    def letter(found: re.Match[str]) -> str:
        return chr(_FIRST_PLACEHOLDER + literals.setdefault(_parse_literal(found), len(literals)))

    return MaskedMarkdown(_VALUE.sub(letter, source), tuple(literals))


def _parse_literal(found: re.Match[str]) -> Literal:
    if found.group(1) is None:
        return Literal(found.group())
    return Literal(
        _UNESCAPE.sub(lambda escaped: chr(ord(escaped.group(1)) - 0x10), found.group(2)),
        found.group(1) == _START_ENCODED,
    )


def _leading_placeholders(part: str) -> int:
    return next((place for place, character in enumerate(part) if not _PLACEHOLDER.match(character)), len(part))


def _encode(literal: Literal, kept: str) -> str:
    return literal.text if literal.is_url_encoded else quote(literal.text, safe=kept, errors="replace")

"""Merge values inside Markdown, which must not be parsed as Markdown.

A stored body marks each value with Unicode noncharacters, which no text contains. Before parsing, a private-use
character replaces each value; afterwards the value returns: unchanged in text and code, encoded in addresses.
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
    """A value; `is_url_encoded` if a filter has already encoded it for an address."""

    text: str
    is_url_encoded: bool = False


def mark_literal(value: str, is_encoded: bool = False) -> str:
    """The marked value, with runs of white space collapsed as HTML does."""
    text = " ".join(value.replace("\x00", "\ufffd").split())
    start = _START_ENCODED if is_encoded else _START
    return f"{start}{text.translate(_ESCAPED) if any(mark in text for mark in _MARKS) else text}{_END}"


def unmark_literals(source: str) -> str:
    """The source with plain values: for people to read, not to be parsed."""
    return _VALUE.sub(lambda match: _parse_literal(match).text, source)


@dataclass(frozen=True)
class MaskedMarkdown:
    """Markdown with a placeholder character for each value."""

    source: str
    literals: tuple[Literal, ...]

    def fill_text(self, part: str) -> str:
        return _PLACEHOLDER.sub(lambda match: self._literal_for(match.group()).text, part) if self.literals else part

    def fill_url(self, part: str) -> str:
        """Values at the start may be a whole address; later values are encoded as one component."""
        scheme = part.partition(":")[0].lower()
        safe = _SAFE_BY_SCHEME.get(scheme, "")
        start = _leading_placeholders(part)
        return self._fill_encoded(part[:start], _SAFE_IN_WHOLE_URL) + self._fill_encoded(part[start:], safe)

    def _fill_encoded(self, part: str, safe: str) -> str:
        return _PLACEHOLDER.sub(lambda match: _encode(self._literal_for(match.group()), safe), part)

    def _literal_for(self, placeholder: str) -> Literal:
        index = ord(placeholder) - _FIRST_PLACEHOLDER
        return self.literals[index] if index < len(self.literals) else Literal(placeholder)


def mask_literals(source: str) -> MaskedMarkdown:
    """Equal values share a placeholder, so that reference links still find their label."""
    literals: dict[Literal, int] = {}

    def placeholder(match: re.Match[str]) -> str:
        return chr(_FIRST_PLACEHOLDER + literals.setdefault(_parse_literal(match), len(literals)))

    return MaskedMarkdown(_VALUE.sub(placeholder, source), tuple(literals))


def has_placeholder(part: str) -> bool:
    return _PLACEHOLDER.search(part) is not None


def _parse_literal(match: re.Match[str]) -> Literal:
    if match.group(1) is None:
        return Literal(match.group())
    return Literal(
        _UNESCAPE.sub(lambda escaped: chr(ord(escaped.group(1)) - 0x10), match.group(2)),
        match.group(1) == _START_ENCODED,
    )


def _leading_placeholders(part: str) -> int:
    return next((index for index, character in enumerate(part) if not _PLACEHOLDER.match(character)), len(part))


def _encode(literal: Literal, safe: str) -> str:
    return literal.text if literal.is_url_encoded else quote(literal.text, safe=safe, errors="replace")

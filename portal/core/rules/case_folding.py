"""Text as it is compared: without case, and for searching without accents either; the same on every database."""

import unicodedata

from portal.core.rules import text_input

_LOOKALIKES = str.maketrans(
    {
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d", "-"),
        **dict.fromkeys("\u2018\u2019\u201b\u02bc\u02b9\u00b4`\u2032", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u2033", '"'),
        **{"ø": "o", "ł": "l", "đ": "d", "ħ": "h", "ŧ": "t", "ı": "i", "æ": "ae", "œ": "oe", "ð": "d", "þ": "th"},
    }
)
"""Letters that no decomposition takes an accent from, and signs that are typed for one another."""
_DISTINGUISHING_MARK_CLASSES = (8, 9)
"""Canonical combining classes: the voice marks of kana, and the viramas of Indic scripts."""


def fold_case(text: str) -> str:
    """Of an account number or an email address: two that differ by case only are one."""
    return unicodedata.normalize("NFC", text_input.clean_code(text).casefold())


def fold_for_search(text: str) -> str:
    """Of a name or a word to look for: without case, accents and what nobody sees. Östlund and OSTLUND are one."""
    letters = text_input.clean_code(text).translate(_LOOKALIKES)
    letters = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", letters).casefold())
    plain = "".join(letter for letter in letters if not _is_accent(letter))
    return unicodedata.normalize("NFC", plain.translate(_LOOKALIKES))


def build_search_text(*texts: str) -> str:
    """What a search looks through: each of them folded, on a line of its own."""
    return "\n".join(fold_for_search(text) for text in texts)


def _is_accent(letter: str) -> bool:
    found = unicodedata.combining(letter)
    return found != 0 and found not in _DISTINGUISHING_MARK_CLASSES

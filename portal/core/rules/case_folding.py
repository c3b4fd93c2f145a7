"""Case folding for comparison, and accent folding for search, independent of the database."""

import re
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
"""Letters whose accent Unicode does not decompose, and characters that are typed for one another."""
_LATIN_AND_GREEK_ACCENTS = re.compile("[\u0300-\u036f]+")
_DISTINGUISHING_MARK_CLASSES = (8, 9)
"""Canonical combining classes of kana voicing marks and of viramas in Indic scripts."""


def fold_case(text: str) -> str:
    """Fold an account number or an email address: values that differ only in case are equal."""
    return unicodedata.normalize("NFC", text_input.clean_code(text).casefold())


def fold_for_search(text: str) -> str:
    """Remove case, accents and invisible characters: Östlund and OSTLUND are equal."""
    letters = text_input.clean_code(text).translate(_LOOKALIKES)
    if letters.isascii():
        return letters.lower()
    letters = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", letters).casefold())
    plain = "".join(letter for letter in letters if not _is_accent(letter))
    return unicodedata.normalize("NFC", plain.translate(_LOOKALIKES))


def fold_long_text(text: str) -> str:
    """Nearly the same in a fraction of the time, for the body of a message."""
    letters = unicodedata.normalize("NFKD", text).casefold().translate(_LOOKALIKES)
    return _LATIN_AND_GREEK_ACCENTS.sub("", letters)


def build_search_text(*texts: str) -> str:
    """The text a search looks through: each value folded, one per line."""
    return "\n".join(fold_for_search(text) for text in texts)


def _is_accent(letter: str) -> bool:
    combining_class = unicodedata.combining(letter)
    return combining_class != 0 and combining_class not in _DISTINGUISHING_MARK_CLASSES

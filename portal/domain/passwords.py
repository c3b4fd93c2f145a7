"""What makes a password acceptable: its length, and that nobody would guess it first.

zxcvbn estimates how many guesses a password takes, from lists of leaked passwords, names and words that it brings, in
all usual disguises (P@ssw0rd, passwords in a row, keyboard rows, years). It is given the words of the context too.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from math import factorial, prod
from typing import Any

SHORTEST, LONGEST = 12, 128
"""Characters. Longer than any password that people type, and short enough to hash."""
_FEWEST_GUESSES = 100_000_000
"""Where zxcvbn calls a password safe from somebody who guesses at a slow hash."""
_FEWEST_WITHOUT_SIGNS = 4_000_000
"""Of its letters and digits alone: signs in between are the first thing that a guesser adds."""
_LOOKED_AT = 72
"""Characters; what comes after them makes nothing worse. zxcvbn takes no more."""
_DISGUISES = "4@8({[<369&#!1/|0$5+7%2"
_MOST_DISGUISES = 6
"""So many different ones are read as letters; zxcvbn tries all their combinations, which takes it long."""
_LETTERS = str.maketrans("4@8(369!1|0$5+7", "aabcegaiiiosstt")
_LEAST_OF_ITS_OWN = 4
_LEAST_WORD = 3
_GUESSABLE = (
    "Passwords such as this one are guessed first. A few words in a row that do not belong together are hard to guess."
)
_ABOUT_US = (
    "This password is made of words that anybody knows of you or of us: a name, an email, an account number, the "
    "organisation, the portal. Choose words that have nothing to do with them."
)


def problem(password: str, context: Iterable[str] = ()) -> str | None:
    """The rule that it breaks, with the way out; None when it may be used.

    `context` is what strangers know: the person's name, email and account number, ours, and the address of the portal.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        return f"A password has {SHORTEST} to {LONGEST} characters."
    words = _words(context)
    if _of_its_own(password, words) < _LEAST_OF_ITS_OWN:
        return _ABOUT_US
    bare = _bare(password)
    trouble = _guessed(password, words, _FEWEST_GUESSES)
    return trouble or (_guessed(bare, words, _FEWEST_WITHOUT_SIGNS) if bare else None)


def _guessed(text: str, words: Sequence[str], fewest: int) -> str | None:
    # Its lists take a quarter of a second to read and are needed by few processes.
    from zxcvbn import zxcvbn

    found = zxcvbn(_bounded(text), user_inputs=list(words))
    if min(found["guesses"], _in_a_row(found["sequence"])) >= fewest:
        return None
    ours = any(match.get("dictionary_name") == "user_inputs" for match in found["sequence"])
    return _ABOUT_US if ours else _GUESSABLE


def _in_a_row(sequence: Sequence[Mapping[str, Any]]) -> int:
    """The guesses for these words in some order. zxcvbn takes each word more for 10,000 guesses, however common it is,
    and one that comes twice for two."""
    guesses = {match["token"].lower(): int(match["guesses"]) for match in sequence}
    return prod(guesses.values()) * factorial(len(guesses))


def _words(context: Iterable[str]) -> list[str]:
    """Each as it stands, in one piece, and in its parts, the longest first."""
    found = {"notification portal"}
    for text in filter(None, context):
        plain = _plain(text)
        found |= {plain, _bare(plain), *re.split(r"[\W_]+", plain)}
    whole = found | {_bare(word) for word in found} | {"notification", "portal"}
    return sorted((word for word in whole if len(word) >= _LEAST_WORD), key=lambda word: (-len(word), word))


def _of_its_own(password: str, words: Iterable[str]) -> int:
    """How many letters are left without the words of the context, plain or disguised."""
    plain = _plain(password)
    return min(len(_without(text, words)) for text in (_bare(plain), _bare(plain.translate(_LETTERS)))) if plain else 0


def _without(text: str, words: Iterable[str]) -> str:
    taken = False
    for word in words:
        if word in text:
            text, taken = text.replace(word, " "), True
    return re.sub(r"[\W\d_]+", "", text) if taken else text


def _plain(text: str) -> str:
    """In lower case and without accents."""
    spread = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in spread if not unicodedata.combining(char))


def _bare(text: str) -> str:
    """Letters and digits alone."""
    return re.sub(r"[\W_]+", "", text)


def _bounded(text: str) -> str:
    """Without the signs that would be too many disguises; digits are kept, since dates and rows are made of them."""
    looked_at = text[:_LOOKED_AT]
    digits = {char for char in looked_at if char in _DISGUISES and char.isdigit()}
    signs = dict.fromkeys(char for char in looked_at if char in _DISGUISES and not char.isdigit())
    room = max(0, _MOST_DISGUISES - len(digits))
    return "".join("~" if char in list(signs)[room:] else char for char in looked_at)

"""What makes a password acceptable: its length, and that nobody would guess it first.

zxcvbn estimates how many guesses a password takes, from lists of leaked passwords, names and words that it brings, in
all usual disguises (P@ssw0rd, passwords in a row, keyboard rows, years). It is given the words of the context too.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from math import factorial, prod
from typing import Any

MIN_PASSWORD_LENGTH, MAX_PASSWORD_LENGTH = 12, 128
"""Characters. Longer than any password that people type, and short enough to hash."""
_MIN_GUESSES = 100_000_000
"""Where zxcvbn calls a password safe from somebody who guesses at a slow hash."""
_MIN_GUESSES_WITHOUT_SYMBOLS = 4_000_000
"""Of its letters and digits alone: signs in between are the first thing that a guesser adds."""
_MAX_CHARACTERS_SCORED = 72
"""Characters; what comes after them makes nothing worse. zxcvbn takes no more."""
_SUBSTITUTED_CHARACTERS = "4@8({[<369&#!1/|0$5+7%2"
_MAX_SUBSTITUTIONS = 6
"""So many different ones are read as letters; zxcvbn tries all their combinations, which takes it long."""
_SUBSTITUTIONS = str.maketrans("4@8(369!1|0$5+7", "aabcegaiiiosstt")
_MIN_OWN_LETTERS = 4
_MIN_CONTEXT_WORD_LENGTH = 3
_TOO_GUESSABLE = (
    "Passwords such as this one are guessed first. A few words in a row that do not belong together are hard to guess."
)
_TOO_PERSONAL = (
    "This password is made of words that anybody knows of you or of us: a name, an email, an account number, the "
    "organisation, the portal. Choose words that have nothing to do with them."
)


def strength_problem(password: str, context: Iterable[str] = ()) -> str | None:
    """The rule that it breaks, with the way out; None when it may be used.

    `context` is what strangers know: the person's name, email and account number, ours, and the address of the portal.
    """
    if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
        return f"A password has {MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH} characters."
    words = _context_words(context)
    if _own_letter_count(password, words) < _MIN_OWN_LETTERS:
        return _TOO_PERSONAL
    bare = _letters_and_digits(password)
    trouble = _guessability_problem(password, words, _MIN_GUESSES)
    return trouble or (_guessability_problem(bare, words, _MIN_GUESSES_WITHOUT_SYMBOLS) if bare else None)


def _guessability_problem(text: str, words: Sequence[str], fewest: int) -> str | None:
    # Its lists take a quarter of a second to read and are needed by few processes.
    from zxcvbn import zxcvbn

    found = zxcvbn(_limit_substitutions(text), user_inputs=list(words))
    if min(found["guesses"], _guesses_in_any_order(found["sequence"])) >= fewest:
        return None
    ours = any(match.get("dictionary_name") == "user_inputs" for match in found["sequence"])
    return _TOO_PERSONAL if ours else _TOO_GUESSABLE


def _guesses_in_any_order(sequence: Sequence[Mapping[str, Any]]) -> int:
    """The guesses for these words in some order. zxcvbn takes each word more for 10,000 guesses, however common it is,
    and one that comes twice for two."""
    guesses = {match["token"].lower(): int(match["guesses"]) for match in sequence}
    return prod(guesses.values()) * factorial(len(guesses))


def _context_words(context: Iterable[str]) -> list[str]:
    """Each as it stands, in one piece, and in its parts, the longest first."""
    found = {"notification portal"}
    for text in filter(None, context):
        plain = _normalise_text(text)
        found |= {plain, _letters_and_digits(plain), *re.split(r"[\W_]+", plain)}
    whole = found | {_letters_and_digits(word) for word in found} | {"notification", "portal"}
    return sorted(
        (word for word in whole if len(word) >= _MIN_CONTEXT_WORD_LENGTH), key=lambda word: (-len(word), word)
    )


def _own_letter_count(password: str, words: Iterable[str]) -> int:
    """How many letters are left without the words of the context, plain or disguised."""
    plain = _normalise_text(password)
    return (
        min(
            len(_remove_words(text, words))
            for text in (_letters_and_digits(plain), _letters_and_digits(plain.translate(_SUBSTITUTIONS)))
        )
        if plain
        else 0
    )


def _remove_words(text: str, words: Iterable[str]) -> str:
    taken = False
    for word in words:
        if word in text:
            text, taken = text.replace(word, " "), True
    return re.sub(r"[\W\d_]+", "", text) if taken else text


def _normalise_text(text: str) -> str:
    """In lower case and without accents."""
    spread = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in spread if not unicodedata.combining(char))


def _letters_and_digits(text: str) -> str:
    """Letters and digits alone."""
    return re.sub(r"[\W_]+", "", text)


def _limit_substitutions(text: str) -> str:
    """Without the signs that would be too many disguises; digits are kept, since dates and rows are made of them."""
    looked_at = text[:_MAX_CHARACTERS_SCORED]
    digits = {char for char in looked_at if char in _SUBSTITUTED_CHARACTERS and char.isdigit()}
    signs = dict.fromkeys(char for char in looked_at if char in _SUBSTITUTED_CHARACTERS and not char.isdigit())
    room = max(0, _MAX_SUBSTITUTIONS - len(digits))
    return "".join("~" if char in list(signs)[room:] else char for char in looked_at)

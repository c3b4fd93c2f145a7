"""What makes a password acceptable: its length, and that it is hard to guess.

zxcvbn estimates how many guesses a password takes, from its lists of leaked passwords, names and words, including
substitutions (P@ssw0rd), repetitions, keyboard rows and years. We add words from the person's own context.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from math import factorial, prod
from typing import Any

from portal.core.translation import N_
from portal.core.translation import gettext as _

MIN_PASSWORD_LENGTH, MAX_PASSWORD_LENGTH = 12, 128
"""Characters. Pages and Flask-Security read the limits from here."""
_MIN_GUESSES = 100_000_000
"""zxcvbn rates this "safely unguessable" for a slow hash."""
_MIN_GUESSES_WITHOUT_SYMBOLS = 4_000_000
"""For the letters and digits alone: adding punctuation is the first thing that an attacker tries."""
_MAX_CHARACTERS_SCORED = 72
"""Characters; zxcvbn accepts no more, and longer passwords are no weaker."""
_SUBSTITUTED_CHARACTERS = "4@8({[<369&#!1/|0$5+7%2"
_MAX_SUBSTITUTIONS = 6
"""Different characters to read as letters: zxcvbn tries all combinations, which is slow."""
_SUBSTITUTIONS = str.maketrans("4@8(369!1|0$5+7", "aabcegaiiiosstt")
_MIN_OWN_LETTERS = 4
_MIN_CONTEXT_WORD_LENGTH = 3
_TOO_GUESSABLE = N_("This password is easy to guess. Use a few unrelated words in a row.")
_TOO_PERSONAL = N_(
    "This password contains your name, email, account number or the organization’s name. "
    "Choose words that have nothing to do with them."
)


def strength_problem(password: str, context: Iterable[str] = ()) -> str | None:
    """The rule that the password breaks, as a sentence that says what to do; None if it is acceptable.

    `context` is what strangers may know: the person's name, email and account number, the organisation, the host name.
    """
    if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
        return _(
            "The password must have %(least)s to %(most)s characters.",
            least=MIN_PASSWORD_LENGTH,
            most=MAX_PASSWORD_LENGTH,
        )
    words = _context_words(context)
    if _own_letter_count(password, words) < _MIN_OWN_LETTERS:
        return _(_TOO_PERSONAL)
    bare = _letters_and_digits(password)
    problem = _guessability_problem(password, words, _MIN_GUESSES)
    return problem or (_guessability_problem(bare, words, _MIN_GUESSES_WITHOUT_SYMBOLS) if bare else None)


def _guessability_problem(text: str, words: Sequence[str], min_guesses: int) -> str | None:
    # Loading its word lists takes 250 ms, and few processes need them.
    from zxcvbn import zxcvbn

    result = zxcvbn(_limit_substitutions(text), user_inputs=list(words))
    if min(result["guesses"], _guesses_in_any_order(result["sequence"])) >= min_guesses:
        return None
    is_personal = any(match.get("dictionary_name") == "user_inputs" for match in result["sequence"])
    return _(_TOO_PERSONAL if is_personal else _TOO_GUESSABLE)


def _guesses_in_any_order(sequence: Sequence[Mapping[str, Any]]) -> int:
    """Guesses for these words in any order, each counted once.

    zxcvbn adds at least 10,000 guesses per word, even for common and repeated ones.
    """
    guesses = {match["token"].lower(): int(match["guesses"]) for match in sequence}
    return prod(guesses.values()) * factorial(len(guesses))


def _context_words(context: Iterable[str]) -> list[str]:
    """Each text whole, without punctuation, and split into words; the longest first."""
    words = {"notification portal", "notificationportal", "notification", "portal"}
    for text in filter(None, context):
        plain = _normalise_text(text)
        words |= {plain, _letters_and_digits(plain), *re.split(r"[\W_]+", plain)}
    long_enough = (word for word in words if len(word) >= _MIN_CONTEXT_WORD_LENGTH)
    return sorted(long_enough, key=lambda word: (-len(word), word))


def _own_letter_count(password: str, words: Iterable[str]) -> int:
    """How many letters are left after removing the context words, plain or with substitutions."""
    plain = _normalise_text(password)
    variants = (_letters_and_digits(plain), _letters_and_digits(plain.translate(_SUBSTITUTIONS)))
    return min(len(_remove_words(variant, words)) for variant in variants)


def _remove_words(text: str, words: Iterable[str]) -> str:
    """The text itself if it contains none of the words, else the letters that remain."""
    removed = False
    for word in words:
        if word in text:
            text, removed = text.replace(word, " "), True
    return re.sub(r"[\W\d_]+", "", text) if removed else text


def _normalise_text(text: str) -> str:
    """In lower case, without accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def _letters_and_digits(text: str) -> str:
    return re.sub(r"[\W_]+", "", text)


def _limit_substitutions(text: str) -> str:
    """Mask the symbols past the limit; digits stay, because dates and sequences consist of them."""
    scored = text[:_MAX_CHARACTERS_SCORED]
    digits = {char for char in scored if char in _SUBSTITUTED_CHARACTERS and char.isdigit()}
    symbols = dict.fromkeys(char for char in scored if char in _SUBSTITUTED_CHARACTERS and not char.isdigit())
    masked = list(symbols)[max(0, _MAX_SUBSTITUTIONS - len(digits)) :]
    return "".join("~" if char in masked else char for char in scored)

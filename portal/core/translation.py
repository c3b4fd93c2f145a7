"""The words that people read, in the language of the request; outside a request, in English.

Import `gettext` as `_`. How to write a message: docs/style.md#messages
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from gettext import GNUTranslations, NullTranslations
from pathlib import Path
from typing import Any

from babel.support import LazyProxy


@dataclass(frozen=True)
class Language:
    code: str
    catalog: NullTranslations


ENGLISH = Language("en", NullTranslations())
LANGUAGES = {"en": "English", "es": "Español"}
"""What people can choose, each by its own name."""
_SPANISH_I = re.compile("h?[ií](?!e)", re.IGNORECASE)
"""Before this sound, “y” is written “e”."""
_CATALOGS = Path(__file__).parents[1] / "translations"
_current: ContextVar[Language] = ContextVar("language", default=ENGLISH)


def current_language() -> Language:
    return _current.get()


@cache
def language_named(code: str) -> Language:
    """English for an empty or unknown code. A process reads each catalog once."""
    if code == ENGLISH.code or code not in LANGUAGES:
        return ENGLISH
    with (_CATALOGS / code / "LC_MESSAGES" / "messages.mo").open("rb") as file:
        return Language(code, GNUTranslations(file))


def language_problem(code: str) -> str | None:
    """What is wrong with the code of a language that somebody wrote, in any case."""
    if code.lower() in LANGUAGES:
        return None
    named = ", ".join(f"{code} ({name})" for code, name in LANGUAGES.items())
    return gettext("The language must be one of %(languages)s.", languages=named)


@contextmanager
def use_language(language: Language) -> Iterator[None]:
    token = _current.set(language)
    try:
        yield
    finally:
        _current.reset(token)


def gettext(message: str, /, **values: object) -> str:
    """The message with its `%(name)s` filled in. Whole numbers get separators: pass a number that is a name as text."""
    text = _current.get().catalog.gettext(message) if message else ""  # "" is the catalog's own description
    return text % with_separators(values) if values else text


def ngettext(one: str, many: str, num: int, /, **values: object) -> str:
    """`one` or `many`, as `num` demands, which is also a value: “%(num)s texts”."""
    return _current.get().catalog.ngettext(one, many, num) % with_separators({"num": num, **values})


def lazy_gettext(message: str, /, **values: object) -> Any:
    """For class bodies, which run before there is a request: translated whenever it is shown."""
    return LazyProxy(gettext, message, enable_cache=False, **values)


def N_(message: str) -> str:
    """Mark words in a table for translators. Whoever shows them translates them."""
    return message


def join_words(words: Sequence[str]) -> str:
    """“Canada”, “Canada and Mexico”, “Canada, Mexico and France”."""
    if len(words) < 2:
        return "".join(words)
    joined = gettext("%(first)s and %(last)s", first=", ".join(words[:-1]), last=words[-1])
    if current_language().code == "es" and _SPANISH_I.match(words[-1]):
        return f"{joined.removesuffix(f' y {words[-1]}')} e {words[-1]}"
    return joined


def format_number(value: int) -> str:
    return f"{value:,}"


def with_separators(values: dict[str, object]) -> dict[str, object]:
    """The values as a sentence has them: numbers with separators, and days with their article."""
    return {
        name: format_number(value) if type(value) is int else getattr(value, "in_sentence", value)
        for name, value in values.items()
    }

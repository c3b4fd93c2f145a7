"""What a template says: words of its own, and variants in other languages.

See docs/adr/content/0057-template-variants.md.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from portal.accounts.account_language import recipient_language
from portal.content.rules import merge_fields
from portal.core.translation import LANGUAGES, N_
from portal.core.translation import gettext as _

OWN_LANGUAGE = "en"
"""Of the words that every template has. Who has chosen a language without a variant gets these."""
FURTHER_LANGUAGES = tuple(code for code in LANGUAGES if code != OWN_LANGUAGE)
_LABELS = {"en": N_("English"), "es": N_("Spanish")}


class TemplateWords(NamedTuple):
    language: str
    subject: str
    body: str

    @property
    def all_words(self) -> tuple["TemplateWords", ...]:
        return (self,)

    @property
    def is_own(self) -> bool:
        return self.language == OWN_LANGUAGE


class Worded(Protocol):
    """What has words: a version, a draft, or the words in one language alone."""

    @property
    def all_words(self) -> tuple[TemplateWords, ...]:
        """The template's own, and those of its variants."""


def words_for(all_words: Sequence[TemplateWords], language: str) -> TemplateWords:
    """What somebody with this language gets; "" is somebody who has chosen none."""
    code = recipient_language(language).code
    return next((words for words in all_words if words.language == code), all_words[0])


def fill_in(words: TemplateWords, values: Mapping[str, Any]) -> tuple[str, str]:
    """The subject and the body. Raises `MergeError`, also if a blank value would leave a gap."""
    return fill_in_subject(words, values), merge_fields.render_body(words.body, values, True, words.language)


def fill_in_subject(words: TemplateWords, values: Mapping[str, Any]) -> str:
    return merge_fields.render_subject(words.subject, values, True, words.language)


def missing_languages(all_words: Sequence[TemplateWords]) -> list[str]:
    """Those in which it has no words."""
    return [language for language in LANGUAGES if language not in {words.language for words in all_words}]


def language_label(code: str) -> str:
    """In the language of whoever reads it."""
    return _(_LABELS[code]) if code in _LABELS else code


def word_field(part: str, language: str) -> str:
    """The name of the field of a form for the `subject` or the `body`."""
    return part if language == OWN_LANGUAGE else f"{part}_{language}"

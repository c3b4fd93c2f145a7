"""What is wrong with the words of a template in each of its languages, by field (`word_field`)."""

from collections.abc import Collection, Iterable, Sequence

from portal.accounts.rules.attribute_values import AttributeDefinition
from portal.content.rules import markdown, merge_fields
from portal.content.rules.analysis.typography import direction_problem
from portal.content.rules.merge_fields import MergeError
from portal.content.template_words import FURTHER_LANGUAGES, TemplateWords, language_label, word_field
from portal.content.text_content import link_problem
from portal.core.translation import LANGUAGES, N_, join_words
from portal.core.translation import gettext as _

MAX_LENGTHS = {"key": 60, "name": 120, "subject": 250, "body": 50_000}
_MISSING = {"name": N_("Enter a name."), "subject": N_("Enter a subject."), "body": N_("Enter a body.")}
_HALF_VARIANT = {
    "subject": N_("Enter the subject in %(language)s too, or empty the body: then people get the English words."),
    "body": N_("Enter the body in %(language)s too, or empty the subject: then people get the English words."),
}
Attributes = tuple[AttributeDefinition, ...]


def word_problems(all_words: Sequence[TemplateWords], with_text: bool, declared: Attributes) -> dict[str, str]:
    own, *variants = all_words
    problems = _problems_of(own, with_text, declared)
    provided = None if problems else _data_names(own, declared)
    for words in variants:
        if words.language not in FURTHER_LANGUAGES:
            problems["languages"] = unknown_language_problem(words.language)
            continue
        found = _problems_of(words, with_text, declared)
        problems |= found or (_unprovided_fields(words, provided, declared) if provided is not None else {})
    return problems


def unknown_language_problem(language: str) -> str:
    names = [language_label(code) for code in LANGUAGES]
    message = N_("The portal has no language “%(language)s”. It has %(languages)s. Remove this variant.")
    return _(message, language=language, languages=join_words(names))


def length_problem(name: str, text: str) -> str | None:
    return too_long_problem(name, text) if text.strip() else _(_MISSING[name])


def too_long_problem(name: str, text: str) -> str | None:
    limit = MAX_LENGTHS[name]
    if len(text) <= limit:
        return None
    return _("Use %(limit)s characters or fewer. You have used %(length)s.", limit=limit, length=len(text))


def too_long_words(all_words: Sequence[TemplateWords]) -> dict[str, str]:
    """For a draft, which may have any other problem."""
    parts = ((name, words) for words in all_words for name in ("subject", "body"))
    return {
        word_field(name, words.language) if words.language in LANGUAGES else "languages": problem
        for name, words in parts
        if (problem := too_long_problem(name, getattr(words, name)))
    }


def merge_problem(sources: Iterable[str], declared: Attributes) -> str | None:
    """The first."""
    for source in sources:
        try:
            merge_fields.check_template(source, attributes=declared)
        except MergeError as error:
            return str(error)
        if markdown.max_cell_count(source) > markdown.MAX_TABLE_CELLS:
            limit = markdown.MAX_TABLE_CELLS
            return _("Make the tables smaller: together they may have %(limit)s cells at most.", limit=limit)
    return None


def without_problems(words: TemplateWords, problems: Collection[str]) -> TemplateWords:
    """Empty where it cannot be filled in."""
    subject, body = (word_field(part, words.language) for part in ("subject", "body"))
    return words._replace(
        subject="" if subject in problems else words.subject, body="" if body in problems else words.body
    )


def missing_fields(all_words: Sequence[TemplateWords], declared: Attributes) -> dict[str, list[str]]:
    """By language, the merge fields that it lacks and another has. Only of valid words."""
    fields = {words.language: _field_names(words, declared) for words in all_words}
    every = dict.fromkeys(name for names in fields.values() for name in names)
    missing = {language: [name for name in every if name not in names] for language, names in fields.items()}
    return {language: names for language, names in missing.items() if names}


def _problems_of(words: TemplateWords, with_text: bool, declared: Attributes) -> dict[str, str]:
    problems = {
        "subject": _missing_problem("subject", words) or _subject_problem(words.subject, with_text, declared),
        "body": _missing_problem("body", words) or _source_problem("body", words.body, declared),
    }
    return {word_field(name, words.language): problem for name, problem in problems.items() if problem}


def _missing_problem(name: str, words: TemplateWords) -> str | None:
    if getattr(words, name).strip():
        return None
    return _(_MISSING[name]) if words.is_own else _(_HALF_VARIANT[name], language=language_label(words.language))


def _subject_problem(subject: str, with_text: bool, declared: Attributes) -> str | None:
    """The subject is the text."""
    return _source_problem("subject", subject, declared) or (link_problem(subject) if with_text else None)


def _source_problem(name: str, source: str, declared: Attributes) -> str | None:
    return too_long_problem(name, source) or direction_problem(source) or merge_problem([source], declared)


def _unprovided_fields(words: TemplateWords, provided: Collection[str], declared: Attributes) -> dict[str, str]:
    """A send asks for the `data.…` values of the template's own words, so that a variant can have no others."""
    problems = {}
    for part in ("subject", "body"):
        names = merge_fields.check_template(getattr(words, part), attributes=declared).data_fields
        if unprovided := [f"data.{name}" for name in names if name not in provided]:
            problems[word_field(part, words.language)] = _unprovided_message(unprovided)
    return problems


def _unprovided_message(fields: Sequence[str]) -> str:
    return _(
        "The English words do not have %(fields)s, so a send would not ask for a value. Use it there too, or remove it "
        "here.",
        fields=join_words(fields),
    )


def _data_names(words: TemplateWords, declared: Attributes) -> set[str]:
    checked = [merge_fields.check_template(source, attributes=declared) for source in (words.subject, words.body)]
    return {name for part in checked for name in part.data_fields}


def _field_names(words: TemplateWords, declared: Attributes) -> list[str]:
    people = merge_fields.person_fields(words.subject) | merge_fields.person_fields(words.body)
    return sorted(people) + sorted(f"data.{name}" for name in _data_names(words, declared))

"""What is wrong with a template, in sentences for the person who writes it."""

import re
import unicodedata
from collections.abc import Callable

from liquid import Token

from portal.content.rules import merge_filters
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.messages.rules import sms_lookalikes

_BLOCK_OF_TAG = {"else": "if", "elsif": "if", "when": "case", "break": "for", "continue": "for"}
_COMPARISON_WORDS = {"is", "equals", "equal", "eq", "not", "isn"}
_WORD_BEFORE = re.compile(r"([\w.]+)\s+$")
_MAX_FIELD_NAME = 40
FIELD_NAME = re.compile(rf"^[a-z][a-z0-9_]{{0,{_MAX_FIELD_NAME - 1}}}$")


def describe_error(message: str, token: Token | None = None) -> str:
    """`message` is Liquid's own, about `token`. An unknown message is passed on."""
    token = token or Token("", "", 0, "")
    if "limit reached" in message:
        return _("the template does too much: a loop runs too long or produces too much text. Shorten it.")
    for pattern, sentence in _SENTENCES.items():
        if match := re.match(pattern, message):
            return _(sentence) if isinstance(sentence, str) else sentence(match, token)
    return message[:1].lower() + message[1:].replace("end of expression", "the end of the field") + "."


def describe_name_rule(name: str) -> str:
    """Why `data.name` cannot be a field of the send, and a name that can."""
    if len(name) > _MAX_FIELD_NAME:
        return _("Names have %(limit)s characters at most.", limit=_MAX_FIELD_NAME)
    plain = unicodedata.normalize("NFKD", name.lower()).encode("ascii", "ignore").decode()
    suggestion = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    example = suggestion if FIELD_NAME.match(suggestion) else "exam_date"
    return _(
        "Write data.%(example)s: names have lowercase letters, digits and underscores, and start with a letter.",
        example=example,
    )


def _describe_extra_word(_match: re.Match[str], token: Token) -> str:
    """A space in a name, or a word in place of an operator."""
    before = _WORD_BEFORE.search(token.source, 0, token.start_index)
    if before is None:
        return _("“%(text)s” does not belong here: a field holds one name, and filters after “|”.", text=token.value)
    if _is_in_tag(token) and token.value in _COMPARISON_WORDS:
        message = N_('conditions compare with == or !=, not with “%(text)s”. Write for example data.fee == "none".')
        return _(message, text=token.value)
    return _("field names cannot contain spaces. Write %(name)s.", name=f"{before[1]}_{token.value}")


def _describe_extra_text(_match: re.Match[str], token: Token) -> str:
    if token.value == "=":
        return _("to compare, write two equals signs: ==.")
    if _is_in_tag(token):
        return _("“%(text)s” does not belong here. Join comparisons with “and” or “or”.", text=token.value)
    return _(
        "“%(text)s” does not belong here: a field holds one name, and filters after “|”. Conditions need {%% if … %%}.",
        text=token.value,
    )


def _describe_missing_value(_match: re.Match[str], _token: Token) -> str:
    return _("a field or quoted words are missing before the end, such as {{ name }}.")


def _describe_wrong_value(_match: re.Match[str], token: Token) -> str:
    return _("“%(text)s” stands where a field or quoted words must be.", text=token.value)


def _describe_unknown_tag(match: re.Match[str], _token: Token) -> str:
    name = match[1]
    if name.startswith("end") or name in _BLOCK_OF_TAG:
        opening = _BLOCK_OF_TAG.get(name, name[3:])
        return _("“{%% %(tag)s %%}” has no “{%% %(opening)s … %%}” before it.", tag=name, opening=opening)
    return _("there is no tag “{%% %(tag)s %%}”. The tags are if, unless, case, for, assign and comment.", tag=name)


def _describe_missing_tag(match: re.Match[str], _token: Token) -> str:
    return _("“{%% %(tag)s %%}” is missing.", tag=match[1])


def _describe_unknown_filter(match: re.Match[str], _token: Token) -> str:
    name = match[1]
    if name in merge_filters.UNSUPPORTED_FILTERS:
        return _(
            "there is no filter “%(name)s” here: values always appear exactly as given, so remove the filter.",
            name=name,
        )
    filters = ", ".join(merge_filters.FILTER_HELP)
    return _("there is no filter “%(name)s”. The filters are %(filters)s.", name=name, filters=filters)


def _describe_filter_arguments(match: re.Match[str], _token: Token) -> str:
    name = match["filter"] or match["function"]
    purpose = _(merge_filters.FILTER_HELP.get(name, ""))
    return _("too few or too many values after the filter “%(name)s”. %(name)s: %(help)s.", name=name, help=purpose)


def _describe_character(_match: re.Match[str], token: Token) -> str:
    """Also explains characters that word processors and web pages insert into fields."""
    character = token.value[:1]
    if character in "“”„‟‘’‚‛«»":
        message = N_('a field or tag contains the curly quotation mark %(mark)s. Use straight ones, such as "none".')
        return _(message, mark=character)
    if not character.isprintable():
        name = sms_lookalikes.printable_form(character)
        return _(
            "a field or tag contains an invisible character (%(name)s). Delete the field and type it again.", name=name
        )
    if character in "'\"":
        return _(
            'the quotation mark %(mark)s has no partner. Quote words on both sides, such as "none".', mark=character
        )
    if character in "+-*/":
        return _("“%(sign)s” cannot calculate. Use a filter, such as {{ data.fee | plus: 5 }}.", sign=character)
    if character in "{}%" and _is_in_tag(token):
        return _("a tag must end with “%}”.")
    if character in "{}":
        return _("a field must end with “}}”, and cannot contain another field.")
    return _("“%(text)s” cannot be part of a field. Use letters, digits, underscores and dots.", text=character)


_SENTENCES: dict[str, str | Callable[[re.Match[str], Token], str]] = {
    r"unknown filter '(\w+)'": _describe_unknown_filter,
    r"expected tag (\w+), found": _describe_missing_tag,
    r"comment tag was never closed": N_("“{% endcomment %}” is missing."),
    r"unexpected (?:tag )?'(\w\w+)'": _describe_unknown_tag,
    r"(?:unexpected|unknown operator) ['\"]": _describe_character,
    r"expected end of expression, found word": _describe_extra_word,
    r"expected end of expression, found": _describe_extra_text,
    r"expected a primitive expression, found end of expression": _describe_missing_value,
    r"expected a primitive expression, found": _describe_wrong_value,
    r"missing expression": N_("the tag is incomplete. Write for example {% if data.fee %}."),
    r"missing tag name": N_("a tag is empty or not closed. Write for example {% if data.fee %}."),
    r"expected in, found": N_("write a loop as {% for item in list %}."),
    r"expected '=', found": N_("write {% assign total = data.fee %}, with a name, an equals sign and a value."),
    r"expected word, found": N_("the name of a filter is missing after “|”."),
    r"expected an identifier, found": N_("a name is missing after the dot, such as data.exam_date."),
    r"missing or unexpected path segment": N_("fields have no square brackets. Write a dot, such as data.exam_date."),
    r"expected a comma separated list": N_('put a comma between the values of a filter, as in replace: "old", "new".'),
    r"expected 'reversed'": N_("only reversed, limit and offset can follow the list of a loop."),
    r"disallowed parentheses": N_("conditions have no parentheses. Nest one {% if … %} in another."),
    r"unbalanced parentheses|expected '\)'": N_("a parenthesis is missing."),
    r"(?:(?P<filter>\w+): )?(?:_?(?P<function>[a-z_]+?)_?\(\) (?:missing|takes)|\w+ expected \d+ argument)": (
        _describe_filter_arguments
    ),
}
"""Patterns of Liquid's messages to what a person should read."""


def _is_in_tag(token: Token) -> bool:
    """Whether the token is in `{% … %}` and not in `{{ … }}`."""
    before = token.source[: token.start_index]
    return before.rfind("{%") > before.rfind("{{")

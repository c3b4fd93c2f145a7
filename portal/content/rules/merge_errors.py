"""What is wrong with a template, in sentences for the person who writes it."""

import re
import unicodedata
from collections.abc import Callable

from liquid import Token

from portal.content.rules import merge_filters
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
        return "the template does too much: a loop runs too long or produces too much text. Shorten it."
    for pattern, sentence in _SENTENCES.items():
        if match := re.match(pattern, message):
            text = sentence if isinstance(sentence, str) else sentence(match, token)
            return text.replace("TEXT", token.value)
    return message[:1].lower() + message[1:].replace("end of expression", "the end of the field") + "."


def describe_name_rule(name: str) -> str:
    """Why `data.name` cannot be a field of the send, and a name that can."""
    if len(name) > _MAX_FIELD_NAME:
        return f"Names have {_MAX_FIELD_NAME} characters at most."
    plain = unicodedata.normalize("NFKD", name.lower()).encode("ascii", "ignore").decode()
    suggestion = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    example = suggestion if FIELD_NAME.match(suggestion) else "exam_date"
    return f"Write data.{example}: names have lower-case letters, digits and underscores, and start with a letter."


def _describe_extra_word(_match: re.Match[str], token: Token) -> str:
    """A space in a name, or a word in place of an operator."""
    before = _WORD_BEFORE.search(token.source, 0, token.start_index)
    if before is None:
        return "“TEXT” does not belong here: a field holds one name, and filters after “|”."
    if _is_in_tag(token) and token.value in _COMPARISON_WORDS:
        return 'conditions compare with == or !=, not with “TEXT”. Write for example data.fee == "none".'
    return f"field names cannot contain spaces. Write {before[1]}_TEXT."


def _describe_extra_text(_match: re.Match[str], token: Token) -> str:
    if token.value == "=":
        return "to compare, write two equals signs: ==."
    if _is_in_tag(token):
        return "“TEXT” does not belong here. Join comparisons with “and” or “or”."
    return "“TEXT” does not belong here: a field holds one name, and filters after “|”. Conditions need {% if … %}."


def _describe_missing_value(_match: re.Match[str], _token: Token) -> str:
    return "a field or quoted words are missing before the end, such as {{ name }}."


def _describe_unknown_tag(match: re.Match[str], _token: Token) -> str:
    name = match[1]
    if name.startswith("end") or name in _BLOCK_OF_TAG:
        return f"“{{% {name} %}}” has no “{{% {_BLOCK_OF_TAG.get(name, name[3:])} … %}}” before it."
    return f"there is no tag “{{% {name} %}}”. The tags are if, unless, case, for, assign and comment."


def _describe_missing_tag(match: re.Match[str], _token: Token) -> str:
    return f"“{{% {match[1]} %}}” is missing."


def _describe_unknown_filter(match: re.Match[str], _token: Token) -> str:
    name = match[1]
    if name in merge_filters.UNSUPPORTED_FILTERS:
        return f"there is no filter “{name}” here: values always appear exactly as given, so remove the filter."
    return f"there is no filter “{name}”. The filters are {', '.join(merge_filters.FILTER_HELP)}."


def _describe_filter_arguments(match: re.Match[str], _token: Token) -> str:
    name = match["filter"] or match["function"]
    return f"too few or too many values after the filter “{name}”. {name}: {merge_filters.FILTER_HELP.get(name, '')}."


def _describe_character(_match: re.Match[str], token: Token) -> str:
    """Also explains characters that word processors and web pages insert into fields."""
    character = token.value[:1]
    if character in "“”„‟‘’‚‛«»":
        return f'a field or tag contains the curly quotation mark {character}. Use straight ones, such as "none".'
    if not character.isprintable():
        name = sms_lookalikes.printable_form(character)
        return f"a field or tag contains an invisible character ({name}). Delete the field and type it again."
    if character in "'\"":
        return f'the quotation mark {character} has no partner. Quote words on both sides, such as "none".'
    if character in "+-*/":
        return f"“{character}” cannot calculate. Use a filter, such as {{{{ data.fee | plus: 5 }}}}."
    if character in "{}%" and _is_in_tag(token):
        return "a tag must end with “%}”."
    if character in "{}":
        return "a field must end with “}}”, and cannot contain another field."
    return f"“{character}” cannot be part of a field. Use letters, digits, underscores and dots."


_SENTENCES: dict[str, str | Callable[[re.Match[str], Token], str]] = {
    r"unknown filter '(\w+)'": _describe_unknown_filter,
    r"expected tag (\w+), found": _describe_missing_tag,
    r"comment tag was never closed": "“{% endcomment %}” is missing.",
    r"unexpected (?:tag )?'(\w\w+)'": _describe_unknown_tag,
    r"(?:unexpected|unknown operator) ['\"]": _describe_character,
    r"expected end of expression, found word": _describe_extra_word,
    r"expected end of expression, found": _describe_extra_text,
    r"expected a primitive expression, found end of expression": _describe_missing_value,
    r"expected a primitive expression, found": "“TEXT” stands where a field or quoted words must be.",
    r"missing expression": "the tag is incomplete. Write for example {% if data.fee %}.",
    r"missing tag name": "a tag is empty or not closed. Write for example {% if data.fee %}.",
    r"expected in, found": "write a loop as {% for item in list %}.",
    r"expected '=', found": "write {% assign total = data.fee %}, with a name, an equals sign and a value.",
    r"expected word, found": "the name of a filter is missing after “|”.",
    r"expected an identifier, found": "a name is missing after the dot, such as data.exam_date.",
    r"missing or unexpected path segment": "fields have no square brackets. Write a dot, such as data.exam_date.",
    r"expected a comma separated list": 'put a comma between the values of a filter, as in replace: "old", "new".',
    r"expected 'reversed'": "only reversed, limit and offset can follow the list of a loop.",
    r"disallowed parentheses": "conditions have no parentheses. Nest one {% if … %} in another.",
    r"unbalanced parentheses|expected '\)'": "a parenthesis is missing.",
    r"(?:(?P<filter>\w+): )?(?:_?(?P<function>[a-z_]+?)_?\(\) (?:missing|takes)|\w+ expected \d+ argument)": (
        _describe_filter_arguments
    ),
}
"""Patterns of Liquid's messages to what a person should read; TEXT is what Liquid stumbled over."""


def _is_in_tag(token: Token) -> bool:
    """Whether the token is in `{% … %}` and not in `{{ … }}`."""
    before = token.source[: token.start_index]
    return before.rfind("{%") > before.rfind("{{")

"""Who gets nothing because the template cannot be filled in with their values, though they have all that it needs.

A message depends on few values of its recipient, so it is tried once for each combination of them.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from time import monotonic
from typing import Any

from portal.accounts.rules.attribute_values import AttributeDefinition
from portal.accounts.tables.attributes import all_attributes
from portal.content.message_templates import SAMPLE_VALUES, risky_fields
from portal.content.rules import merge_fields
from portal.content.rules.analysis.merge_risks import RiskyFields
from portal.content.rules.merge_fields import MergeError
from portal.content.template_words import TemplateWords, fill_in
from portal.core.translation import current_language
from portal.sends.rules.audience_counts import NOBODY, UnfilledMessages
from portal.sends.tables import audience_estimate
from portal.sends.tables.value_combinations import HAS_VALUE

MAX_COMBINATIONS = 1_000
_MAX_SECONDS = 0.5
_Values = tuple[tuple[str, str], ...]


def find_unfilled(words: TemplateWords, audience: Mapping[str, Any], data: Mapping[str, str]) -> UnfilledMessages:
    """Of an audience that has the values that everybody needs. The check of a recipient file has tried its people."""
    fields = risky_fields(words)
    names = (*fields.exact, *fields.blank)
    if not names or "recipient_file" in audience:
        return NOBODY
    combinations, total = audience_estimate.value_combinations(audience, fields, MAX_COMBINATIONS)
    return _tried(words, fields, data, combinations, total)


def _tried(
    words: TemplateWords,
    fields: RiskyFields,
    data: Mapping[str, str],
    combinations: Sequence[tuple[int, tuple[str, ...]]],
    total: int,
) -> UnfilledMessages:
    attributes = tuple(attribute.definition for attribute in all_attributes())
    ends, checked, failed, problems = monotonic() + _MAX_SECONDS, 0, [], []
    for people, values in combinations:
        if monotonic() > ends:
            break
        checked += people
        named = _named_values(fields, values)
        if problem := _problem(words, attributes, tuple(data.items()), named, _language()):
            failed.append((people, values))
            problems.append(problem)
    rows = [values for _people, values in failed]
    combination = {"fields": fields, "rows": rows} if rows else None
    return UnfilledMessages(
        sum(people for people, _values in failed), next(iter(problems), ""), combination, total - checked
    )


def _named_values(fields: RiskyFields, values: Sequence[str]) -> _Values:
    """Without those of which only matters that there is one: an example stands for them."""
    named = zip((*fields.exact, *fields.blank), values, strict=True)
    return tuple((name, value) for name, value in named if name in fields.exact or value != HAS_VALUE)


def _language() -> str:
    return current_language().code


@lru_cache(maxsize=20_000)
def _problem(
    words: TemplateWords, attributes: tuple[AttributeDefinition, ...], data: _Values, named: _Values, _code: str
) -> str:
    """What is wrong with a message for these values of a person, in the language of that code; "" if nothing is."""
    values = _merge_values(attributes, dict(data), dict(named))
    try:
        fill_in(words, values)
    except MergeError as error:
        return str(error)
    return ""


def _merge_values(
    attributes: Sequence[AttributeDefinition], data: Mapping[str, str], named: Mapping[str, str]
) -> dict[str, Any]:
    """Of a person with these values; the others are examples, which do not matter."""
    own = dict(SAMPLE_VALUES) | {"name": named.get("name") or named.get("first_name") or SAMPLE_VALUES["name"]}
    own |= {name: value for name, value in named.items() if name in own and name != "first_name"}
    values = {attribute.key: attribute.example for attribute in attributes}
    values |= {name: value for name, value in named.items() if name in values}
    return merge_fields.merge_values(own["name"], own["email"], own["external_id"], own["account_type"], data, values)

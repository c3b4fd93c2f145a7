"""The sentences about faults in templates: each names the rule and the way out, in words of the person who writes."""

import re

import pytest

from portal.content.rules.merge_errors import _SENTENCES
from portal.content.rules.merge_fields import MergeError, check_template

SENTENCES = {
    "{{ data.exam date }}": "field names cannot contain spaces. Write data.exam_date.",
    "{% if data.exam date == 'x' %}{% endif %}": "field names cannot contain spaces. Write data.exam_date.",
    "{{ }}": "a field or quoted words are missing before the end, such as {{ name }}.",
    "{{ name == 'x' }}": "“==” does not belong here: a field holds one name, and filters after “|”. Conditions need "
    "{% if … %}.",
    "{{ 'x' 'y' }}": "“y” does not belong here: a field holds one name, and filters after “|”. Conditions need "
    "{% if … %}.",
    "{{ not name }}": "“not” stands where a field or quoted words must be.",
    "{{ name + 1 }}": "“+” cannot calculate. Use a filter, such as {{ data.fee | plus: 5 }}.",
    "{{ name; }}": "“;” cannot be part of a field. Use letters, digits, underscores and dots.",
    "{{ name! }}": "“!” cannot be part of a field. Use letters, digits, underscores and dots.",
    "{{ name\u200b }}": "a field or tag contains an invisible character (zero width space). Delete the field and "
    "type it again.",
    "{{ name | default: 'x }}": 'the quotation mark \' has no partner. Quote words on both sides, such as "none".',
    "{{ {{ name }} }}": "a field must end with “}}”, and cannot contain another field.",
    "{{ name[ }}": "fields have no square brackets. Write a dot, such as data.exam_date.",
    "{{ data. }}": "a name is missing after the dot, such as data.exam_date.",
    "{{ name | }}": "the name of a filter is missing after “|”.",
    "{{ name | slice }}": "too few or too many values after the filter “slice”. slice: takes some of the characters: "
    "slice: 0, 3.",
    "{{ name | plus }}": "too few or too many values after the filter “plus”. plus: adds a number.",
    "{{ name | upcase: 1 }}": "too few or too many values after the filter “upcase”. upcase: makes every letter a "
    "capital.",
    "{{ name | replace: 'a' 'b' }}": 'put a comma between the values of a filter, as in replace: "old", "new".',
    "{% if %}{% endif %}": "the tag is incomplete. Write for example {% if data.fee %}.",
    "{%  %}": "a tag is empty or not closed. Write for example {% if data.fee %}.",
    "{% if name = 'x' %}{% endif %}": "to compare, write two equals signs: ==.",
    "{% if name is 'x' %}{% endif %}": "conditions compare with == or !=, not with “is”. Write for example "
    'data.fee == "none".',
    "{% if name == 'x', email %}{% endif %}": "“,” does not belong here. Join comparisons with “and” or “or”.",
    "{% if (name == 'x' %}{% endif %}": "conditions have no parentheses. Nest one {% if … %} in another.",
    "{% if name }{% endif %}": "a tag must end with “%}”.",
    "{% else %}": "“{% else %}” has no “{% if … %}” before it.",
    "{% endfor %}": "“{% endfor %}” has no “{% for … %}” before it.",
    "{% break %}": "“{% break %}” has no “{% for … %}” before it.",
    "{% foo %}": "there is no tag “{% foo %}”. The tags are if, unless, case, for, assign and comment.",
    "{% if name %}": "“{% endif %}” is missing.",
    "{% comment %}": "“{% endcomment %}” is missing.",
    "{% for x name %}{% endfor %}": "write a loop as {% for item in list %}.",
    "{% for x in name foo: 1 %}{% endfor %}": "only reversed, limit and offset can follow the list of a loop.",
    "{% assign x %}": "write {% assign total = data.fee %}, with a name, an equals sign and a value.",
    "{{ (1..2 }}": "a parenthesis is missing.",
}


@pytest.mark.parametrize(("source", "sentence"), SENTENCES.items())
def test_fault_is_described_in_plain_words(source: str, sentence: str) -> None:
    with pytest.raises(MergeError) as rejected:
        check_template(source)
    assert rejected.value.text == sentence


def test_sentences_name_no_placeholder_or_word_of_the_parser() -> None:
    jargon = re.compile(r"TEXT|expression|token|primitive|identifier|\bNone\b|expected")
    assert [sentence for sentence in SENTENCES.values() if jargon.search(sentence)] == []
    assert len(_SENTENCES) > 15


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("Exam-Date", "Write data.exam_date: names have lowercase letters, digits and underscores, and start with"),
        ("über", "Write data.uber: names have lowercase"),
        ("a" * 41, "Names have 40 characters at most."),
    ],
)
def test_invalid_name_of_a_field_is_answered_with_a_valid_one(name: str, rule: str) -> None:
    with pytest.raises(MergeError, match=re.escape(rule)):
        check_template(f"{{{{ data.{name} }}}}")


@pytest.mark.parametrize("fault", ["{{ }}", "{% if name == %}x{% endif %}", "{{ data. }}", "{{ name | }}"])
def test_line_of_an_incomplete_field_is_its_own(fault: str) -> None:
    with pytest.raises(MergeError) as rejected:
        check_template(f"Dear {{{{ name }}}},\n\n{fault}\n\nRegards\n")
    assert rejected.value.line == 3

"""Which values of a person decide whether a template can be filled in."""

import pytest

from portal.accounts.rules.attribute_values import AttributeDefinition
from portal.content.rules.merge_fields import risky_fields

ATTRIBUTES = (
    AttributeDefinition("note", "Note", "text"),
    AttributeDefinition("expires_on", "Expires on", "date"),
    AttributeDefinition("credits", "Credits", "number"),
    AttributeDefinition("region", "Region", "choice", ("North", "South")),
)


@pytest.mark.parametrize(
    "source",
    [
        "Hello {{ name }}, {{ note }}",
        '{{ first_name | upcase | truncate: 20 }} {{ expires_on | date: "%B %Y" }}',
        "{% if note %}{{ note }}{% endif %}",
        '{% if region == "North" %}Come{% endif %}',
        '{{ credits | default: 0 | plus: 1 | append: " hours" }}',
        '{{ name | replace: "-", " " }}',
        "{{ data.fee | plus: 1 }}",
    ],
)
def test_a_template_that_works_for_everybody_has_no_risky_fields(source: str) -> None:
    fields = risky_fields(ATTRIBUTES, source)
    assert (fields.exact, fields.blank) == ((), ())


@pytest.mark.parametrize(
    ("source", "exact", "blank"),
    [
        ('{{ note | default: "2027-01-01" | date }}', ("note",), ()),
        ('{{ expires_on | date: "%H:%M" }}', ("expires_on",), ()),
        ("{{ credits | divided_by: 2 }}", ("credits",), ()),
        ('{% if region == "North" %}{{ note }}{% endif %}', ("region",), ("note",)),
        ('{% case region %}{% when "North" %}{{ note }}{% endcase %}', ("region",), ("note",)),
        ("{% unless note %}{{ credits }}{% endunless %}", (), ("credits", "note")),
        ("{% if note %}{{ data.fee | plus: 1 }}{% endif %}", (), ("note",)),
        ('{% if account_type == "X" and note %}{{ data.fee }}{% endif %}', ("account_type", "note"), ()),
        ("{% assign day = note %}{{ day | date }}", ("note",), ()),
        ("{% for item in (1..3) %}{{ note }}{% endfor %}", ("note",), ()),
        ("{% if note == 5 %}five{% endif %}", ("note",), ()),
        ("{% if credits > 5 %}many{% endif %}", ("credits",), ()),
        ("{{ name | truncate: data.length }}", ("name",), ()),
    ],
)
def test_risky_fields_are_those_that_decide(source: str, exact: tuple[str, ...], blank: tuple[str, ...]) -> None:
    fields = risky_fields(ATTRIBUTES, source)
    assert (fields.exact, fields.blank) == (exact, blank)

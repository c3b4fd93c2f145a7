"""Attributes of accounts as merge fields."""

import pytest

from portal.accounts.rules.attribute_values import AttributeDefinition, AttributeKind
from portal.content.rules import markdown
from portal.content.rules.merge_fields import (
    MergeError,
    attribute_names,
    check_template,
    merge_values,
    render_body,
    render_subject,
    required_attributes,
)

DECLARED = (
    AttributeDefinition("expires_on", "Expires on", AttributeKind.DATE),
    AttributeDefinition("credits", "Credits", AttributeKind.NUMBER),
    AttributeDefinition("region", "Region", AttributeKind.CHOICE, ("North", "South")),
    AttributeDefinition("note", "Note", AttributeKind.TEXT),
)


def subject_of(source: str, **attributes: str) -> str:
    values = merge_values("Jordan Rivera", "jordan@example.org", "P-1042", "Practitioner", {}, attributes)
    return render_subject(source, values, reject_blanks=True)


def problem_of(source: str) -> str:
    with pytest.raises(MergeError) as caught:
        check_template(source, attributes=DECLARED)
    return str(caught.value)


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("{{ expires_on }}", "2027-05-28"),
        ("{{ expires_on | date }}", "May 28, 2027"),
        ('{{ expires_on | date: "%-d %B" }}', "28 May"),
        ("{{ credits | plus: 3 }}", "15"),
        ("{% if credits > 9 %}many{% else %}few{% endif %}", "many"),
        ('{% if region == "north" %}up{% else %}{{ region }}{% endif %}', "South"),
        ("{% if note %}{{ note }}{% else %}nothing{% endif %}", "nothing"),
        ('{{ note | default: "nothing" }}', "nothing"),
    ],
)
def test_attribute_is_a_merge_field(source: str, output: str) -> None:
    check_template(source, attributes=DECLARED)
    assert subject_of(source, expires_on="2027-05-28", credits="12", region="South", note="") == output


@pytest.mark.parametrize("source", ["{{ note }}", "{{ note | upcase }}", "{% assign n = note %}{{ n }}"])
def test_blank_attribute_is_refused_where_it_would_leave_a_gap(source: str) -> None:
    with pytest.raises(MergeError) as caught:
        subject_of(source, note=" ")
    assert (str(caught.value), caught.value.field_name) == ("The account has no value for “note”.", "note")


def test_value_of_an_attribute_is_never_markdown() -> None:
    values = merge_values("Ann", "a@example.org", "P-1", "Practitioner", {}, {"note": "**bold**"})
    assert "**bold**" in markdown.to_html(render_body("Note: {{ note }}", values))


def test_unknown_attribute_is_refused_with_those_that_exist() -> None:
    problem = problem_of("Until {{ expired_on }}")
    assert "there is no merge field “expired_on”" in problem
    assert "account_type, expires_on, credits, region, note, or data.something" in problem


@pytest.mark.parametrize("source", ["{{ credits | date }}", "{{ region | plus: 1 }}", "{{ expires_on | plus: 1 }}"])
def test_filter_for_another_kind_of_attribute_is_refused(source: str) -> None:
    assert "given for" in problem_of(source)


def test_filter_that_a_text_may_fit_is_accepted() -> None:
    check_template("{{ note | date }} {{ note | plus: 1 }}", attributes=DECLARED)


def test_attributes_are_listed_in_the_order_of_their_use() -> None:
    sources = "{{ region }} {{ name }} {{ data.fee }}", "{% if expires_on %}{{ region }}{% endif %}"
    assert attribute_names(*sources) == ("region", "expires_on")


@pytest.mark.parametrize(
    ("source", "required"),
    [
        ("{{ expires_on | date }}", ("expires_on",)),
        ('{{ expires_on | default: "soon" }}', ()),
        ("{% if expires_on %}{{ expires_on | date }}{% endif %}", ()),
        ("{% if credits > 3 %}{{ region }}{% endif %}", ()),
        ("{% assign day = expires_on %}{{ day }} {{ data.fee }} {{ name }}", ("expires_on",)),
        ('{% assign days = data.days | split: "," %}{% for note in days %}{{ note }}{% endfor %}', ()),
        ("{% for note in data.list %}x{% endfor %}{{ note }}", ("note",)),
        ("{% for n in (1..2) %}{% assign day = expires_on %}{% endfor %}{{ day }}", ("expires_on",)),
    ],
)
def test_attribute_is_required_unless_default_or_tested(source: str, required: tuple[str, ...]) -> None:
    assert required_attributes(source) == required

"""Conditions of an audience: what is complete, what is refused, and their words."""

from typing import Any

import pytest

from portal.sends.rules.audience_conditions import (
    OPERATORS,
    OWN_FIELDS,
    ConditionField,
    FieldKind,
    attribute_field,
    condition_problem,
    conditions_problem,
    describe_conditions,
    summarize_conditions,
    topic_field,
)

FIELDS: dict[str, ConditionField] = {
    field.name: field
    for field in (
        *OWN_FIELDS,
        topic_field({"7": "Exams"}),
        attribute_field(1, "expires_on", "Expires on", "date", []),
        attribute_field(2, "credits", "Credits", "number", []),
        attribute_field(3, "region", "Region", "choice", ["North", "South"]),
        attribute_field(4, "note", "Note", "text", []),
    )
}


def condition(field: str, operator: Any, value: Any = "") -> dict[str, Any]:
    return {"field": field, "operator": operator, "value": value}


COMPLETE = [
    condition("account_type", "is", "Practitioner"),
    condition("timezone", "any_of", ["UTC", "America/New_York"]),
    condition("sms_state", "is_not", "gets_texts"),
    condition("send", "not_reached_by", "12"),
    condition("attribute.expires_on", "next_days", "30"),
    condition("attribute.expires_on", "on", "2028-02-29"),
    condition("attribute.credits", "at_least", "-0.5"),
    condition("attribute.region", "any_of", ["north", "South"]),
    condition("attribute.note", "contains", "50 %"),
    condition("attribute.note", "not_set"),
    condition("topic", "texts_off", "7"),
]


@pytest.mark.parametrize("row", COMPLETE, ids=str)
def test_complete_condition_has_no_problem(row: dict[str, Any]) -> None:
    assert condition_problem(row, FIELDS) is None


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (condition("attribute.gone", "is", "x"), "There is no field “gone” any more."),
        ("a text", "There is no field “?” any more."),
        (condition("attribute.credits", "contains", "1"), "Credits: choose how to compare it."),
        (condition("topic", "texts_on", "8"), "Texts about a topic: “8” is not one of its values any more."),
        (condition("attribute.credits", ["is"], "1"), "Credits: choose how to compare it."),
        (condition("attribute.note", "is", "  "), "Note: enter or choose a value."),
        (condition("attribute.region", "any_of", []), "Region: enter or choose a value."),
        (condition("attribute.note", "is", "x" * 201), "Note: enter or choose a value."),
        (condition("attribute.region", "is", ["North", "South"]), "Region: choose one value"),
        (condition("attribute.region", "is", "East"), "Region: “East” is not one of its values any more."),
        (condition("sms_state", "is", "GETS_TEXTS"), "Texts: “GETS_TEXTS” is not one of its values any more."),
        (condition("attribute.expires_on", "on", "2027-02-29"), "Expires on: enter a date that exists"),
        (condition("attribute.expires_on", "before", "20270228"), "Expires on: enter a date that exists"),
        (condition("attribute.expires_on", "past_days", "1.5"), "Expires on: enter a whole number of days from 0 to"),
        (condition("attribute.expires_on", "past_days", "٣"), "Expires on: enter a whole number of days from 0 to"),
        (condition("attribute.expires_on", "next_days", "9" * 40), "Expires on: enter a whole number of days"),
        (condition("attribute.credits", "equals", "NaN"), "Credits: enter a number, such as 12 or 0.5."),
        (condition("attribute.credits", "equals", "1e999"), "Credits: enter a number, such as 12 or 0.5."),
        (condition("send", "not_reached_by", "first"), "An earlier send: enter the number of a send."),
    ],
    ids=str,
)
def test_problem_of_a_condition_names_its_field(row: Any, problem: str) -> None:
    assert (condition_problem(row, FIELDS) or "").startswith(problem)


@pytest.mark.parametrize(
    ("audience", "problem"),
    [
        ({"conditions": [], "match": "all"}, "Add at least one condition."),
        ({"conditions": "x", "match": "all"}, "Add at least one condition."),
        ({"conditions": COMPLETE * 3, "match": "all"}, "An audience can have at most 20 conditions."),
        (
            {"conditions": COMPLETE, "match": "some"},
            "Choose whether all of the conditions must be true or any of them.",
        ),
        ({"conditions": COMPLETE, "match": "any"}, None),
    ],
    ids=["none", "no list", "too many", "neither all nor any", "complete"],
)
def test_conditions_are_refused_as_a_whole(audience: dict[str, Any], problem: str | None) -> None:
    assert conditions_problem(audience, FIELDS) == problem


def test_every_kind_of_field_can_be_compared() -> None:
    assert set(OPERATORS) == set(FieldKind)


def test_conditions_are_described_in_words() -> None:
    unknown = condition("attribute.gone", "shrinks", "x")
    assert describe_conditions({"conditions": [*COMPLETE, unknown]}, FIELDS) == [
        "Account type: Practitioner",
        "Time zone: one of UTC, America/New_York",
        "Texts: not “gets texts”",
        "Not reached by send 12",
        "Expires on: today or in the next 30 days",
        "Expires on: on 2028-02-29",
        "Credits: at least -0.5",
        "Region: one of north, South",
        "Note: contains “50 %”",
        "Note: has no value",
        "Texts about Exams: off",
        "gone: x",
    ]


def test_audit_log_keeps_conditions_by_their_names() -> None:
    audience = {"conditions": [COMPLETE[4], COMPLETE[7], COMPLETE[9]], "match": "any"}
    assert summarize_conditions(audience) == (
        "attribute.expires_on next_days 30 or attribute.region any_of north|South or attribute.note not_set"
    )
